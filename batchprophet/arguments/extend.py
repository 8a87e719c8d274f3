"""A function of the caller's that adds constraints to a MILP, by its name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..models.errors import InputError
from ..models.shown import without_ending
from .policies import find_local_modules

if TYPE_CHECKING:
    from ..models.extension import Extend


def function_named(where: str | None) -> Extend | None:
    """Return the function that ``module:function`` names; None stays None.

    Modules are also looked for in the current folder.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> function_named("math:floor")
    <built-in function floor>
    """
    if where is None:
        return None
    find_local_modules()
    module_name, colon, name = where.partition(":")
    if not colon or not module_name or not name:
        raise InputError(f"--extend: expected module:function, found {where!r}")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of the caller's may raise anything
        text = " ".join(f"{type(error).__name__}: {error}".split())
        hint = without_ending(module_name, name)
        raise InputError(
            f"--extend {where}: cannot import {module_name!r} ({text}){hint}"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        has = "no" if found is None else "no function"
        raise InputError(f"--extend {where}: module {module_name!r} has {has} {name!r}")
    function: Extend = found
    return function
