"""Online policies for separate batching, one a file."""
