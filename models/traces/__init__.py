"""Readers of real traces, one format a file."""
