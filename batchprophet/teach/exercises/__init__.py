"""The checks of each notebook's exercises; `grading` says which module is of which notebook."""
