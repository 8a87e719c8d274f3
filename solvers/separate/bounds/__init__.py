"""Lower bounds for separate batching."""
