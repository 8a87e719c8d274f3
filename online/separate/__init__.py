"""Separate batching, online: simulator, policies, and where the requests' time goes."""
