"""All batching regimes by name: the only place of this wing that names them.

A regime's engine is loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..models.errors import InputError
from ..models.shown import alternatives
from .recipe import Recipe


def _mixed() -> Recipe[Any]:
    from .mixed.hindsight import MIXED

    return MIXED


def _separate() -> Recipe[Any]:
    from .separate.hindsight import SEPARATE

    return SEPARATE


def _continuous() -> Recipe[Any]:
    from .continuous.hindsight import CONTINUOUS

    return CONTINUOUS


#: What loads the recipe of a regime, by its name.
RECIPES: dict[str, Callable[[], Recipe[Any]]] = {
    "mixed": _mixed,
    "separate": _separate,
    "continuous": _continuous,
}


def recipe(model: str) -> Recipe[Any]:
    """Return the recipe of a regime.

    Raises
    ------
    InputError
        If there is none of this name.

    Examples
    --------
    >>> recipe("mixed").formulations
    ('dense', 'running-sum')
    """
    if model not in RECIPES:
        known = alternatives(map(repr, RECIPES))
        raise InputError(f"model: expected {known}, found {model!r}")
    return RECIPES[model]()
