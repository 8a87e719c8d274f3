"""Separate batching: a batch holds only prompt jobs or only token jobs (model/separate.md §1)."""
