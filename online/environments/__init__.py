"""Environments: control problems with their policies and benchmark, for measuring regret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..environment_registry import ENVIRONMENTS, make_environment

__all__ = ["ENVIRONMENTS", "make_environment"]


def __getattr__(name: str) -> Any:
    # The registry imports the environments, which import what they share from this folder.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .. import environment_registry

    return getattr(environment_registry, name)
