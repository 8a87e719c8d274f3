"""Separate batching as MILPs."""
