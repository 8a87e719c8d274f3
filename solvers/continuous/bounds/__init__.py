"""Lower bounds on the total latency of continuous batching."""
