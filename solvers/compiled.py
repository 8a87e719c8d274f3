"""Whether numba has compiled a function: in this process, or in its cache on disk."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

#: What is said meanwhile.
PHASE = "compiling, once per machine: up to some minutes, not counted"


def are_compiled(functions: Iterable[tuple[str, str]]) -> bool:
    """Whether compiled functions are ready; stale entries of a cache count as ready.

    Parameters
    ----------
    functions : iterable of (str, str)
        Module, relative to ``batchprophet``, and name of each.

    Examples
    --------
    >>> are_compiled([("solvers.separate.exact.expansion", "expand")]) in (True, False)
    True
    """
    return all(_is_ready(_function(*each)) for each in functions)


def _function(module: str, name: str) -> Any:
    return getattr(import_module(f"..{module}", __package__), name)


def _is_ready(function: Any) -> bool:
    if not hasattr(function, "signatures"):  # compilation is switched off
        return True
    if function.signatures:
        return True
    if function.stats.cache_path is None:  # it is not cached
        return False
    name = function.py_func.__qualname__
    module = Path(function.py_func.__code__.co_filename).stem
    return any(Path(function.stats.cache_path).glob(f"{module}.{name}-*.nbi"))
