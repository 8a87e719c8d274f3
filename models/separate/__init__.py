"""Separate batching: a batch holds only prompt jobs or only token jobs (docs/model.md §3)."""
