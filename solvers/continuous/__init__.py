"""Hindsight optimum of continuous batching: schedules, bounds, exact search, MILP."""
