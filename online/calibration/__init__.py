"""The batch-time law of an engine, from its log; and whether the model explains the log."""
