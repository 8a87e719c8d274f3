"""Compilation of the programs of equal requests, before their clock starts."""

from __future__ import annotations

import numpy as np

from ....models.instance import Gpu, Instance
from ...compiled import are_compiled
from .recipe import equal_requests

#: Compiled functions that stand for all.
FUNCTIONS = (
    ("solvers.separate.equal_requests.patterns", "_list"),
    ("solvers.separate.equal_requests.tables", "_costs_to_go"),
    ("solvers.separate.equal_requests.tables", "_earliest"),
    ("solvers.separate.equal_requests.tables", "_cheapest"),
    ("solvers.separate.equal_requests.spacing", "_anneal"),
)


def equal_requests_are_compiled() -> bool:
    """Whether the code is compiled: in this process, or in numba's cache.

    Examples
    --------
    >>> equal_requests_are_compiled() in (True, False)
    True
    """
    return are_compiled(FUNCTIONS)


def compile_equal_requests() -> None:
    """Search a small stream, so that the code is compiled, or loaded."""
    equal = np.ones(4, np.int64)
    instance = Instance(
        gpu=Gpu(kv_capacity=9), arrival=np.array([0, 0, 3, 9]), prompt=equal, output=4 * equal
    )
    for _ in equal_requests(instance, entries=10_000, steps=1):
        pass
