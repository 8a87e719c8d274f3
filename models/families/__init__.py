"""Named instance families: arrival models, trace-like workloads, adversaries."""

from .family import Family
from .registry import FAMILIES, make_instance
from .setting import Setting

__all__ = ["FAMILIES", "Family", "Setting", "make_instance"]
