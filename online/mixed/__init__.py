"""Online policies for mixed batching."""
