"""Continuous batching: prompt chunks and token jobs in one batch, with measured batch times."""
