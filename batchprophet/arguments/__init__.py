"""Arguments of commands and of the Python interface, checked."""
