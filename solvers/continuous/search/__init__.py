"""Schedules of continuous batching: list schedules, and searches over what they decode."""
