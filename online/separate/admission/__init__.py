"""Admission to a separate-batching GPU: accept or reject at arrival, complete by the horizon."""
