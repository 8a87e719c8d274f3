"""Continuous batching: bounds, schedules, proofs."""
