"""Hindsight optima and bounds for separate batching."""
