"""What the Python interface returns."""
