"""Policies of continuous batching, a file each."""
