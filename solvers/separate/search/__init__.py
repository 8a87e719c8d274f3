"""Search for good schedules of separate batching."""
