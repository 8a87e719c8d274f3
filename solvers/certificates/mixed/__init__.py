"""Proofs of bounds for mixed batching, verified."""
