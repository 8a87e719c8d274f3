"""Environments: control problems with their policies and benchmark, for measuring regret."""

from .registry import ENVIRONMENTS, make_environment

__all__ = ["ENVIRONMENTS", "make_environment"]
