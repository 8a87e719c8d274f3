"""Judges of the answers to each notebook's exercises; `grading` says which module is of which."""
