"""Experiments: a grid of instances, seeds, policies and limits, run so that it can be trusted."""
