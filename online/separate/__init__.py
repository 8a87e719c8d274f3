"""Separate batching without the future: the simulator and its policies."""
