"""The HTML report, its tables and its sentences."""
