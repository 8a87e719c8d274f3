"""Proofs of bounds for continuous batching, and what verifies them."""
