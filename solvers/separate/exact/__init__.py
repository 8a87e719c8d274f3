"""Exact search over states of separate batching."""
