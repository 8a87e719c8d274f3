"""Lower bounds on the hindsight optimum, one a file."""
