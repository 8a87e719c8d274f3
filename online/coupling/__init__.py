"""Compensated coupling: compensations, oracles, and the Bayes selector (arXiv 1901.05028)."""
