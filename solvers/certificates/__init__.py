"""Certificates: bounds with the multipliers that prove them, verified by small independent code."""
