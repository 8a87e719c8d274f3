"""Continuous batching online: policies, simulators, and where the requests' time goes."""
