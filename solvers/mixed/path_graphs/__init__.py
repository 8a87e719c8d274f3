"""Bounds and proofs by paths through what runs at each round boundary: successive sublimation."""
