"""Mixed batching as MILPs."""
