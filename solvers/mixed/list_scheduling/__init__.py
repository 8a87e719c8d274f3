"""List schedules of mixed batching."""
