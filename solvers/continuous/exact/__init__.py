"""Exhaustive search under continuous batching, for small instances."""
