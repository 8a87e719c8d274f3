"""Packing with a known law of arrivals: the exact test bed of compensated coupling."""
