"""Compiled simulations of policies that evict or rescan."""
