"""The page to play with: its levels, its data, and the command's function."""
