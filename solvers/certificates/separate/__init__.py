"""Proofs of bounds for separate batching, verified."""
