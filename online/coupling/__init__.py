"""Compensated coupling: hindsight solutions drive decisions, and account for every regret."""
