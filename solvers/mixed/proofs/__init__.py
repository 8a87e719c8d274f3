"""Certificates made from what the bounds of mixed batching found."""
