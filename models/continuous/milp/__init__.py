"""Continuous batching as a MILP."""
