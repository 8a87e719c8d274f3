"""Online policies, one a file, each with its source."""
