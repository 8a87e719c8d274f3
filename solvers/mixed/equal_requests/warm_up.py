"""Compilation of the program of equal requests, before its clock starts."""

from __future__ import annotations

import numpy as np

from ....models.instance import Gpu, Instance
from ...compiled import are_compiled
from ..search.spacing import spaced_schedule
from .recipe import equal_requests

#: Compiled functions that stand for all.
FUNCTIONS = (
    ("solvers.mixed.search.spacing", "_place"),
    ("solvers.mixed.equal_requests.patterns", "_reach"),
    ("solvers.mixed.equal_requests.labels", "_expand"),
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
    """Schedule a small stream, which releases hinder, so that the code is compiled, or loaded."""
    arrival = np.array([0, 0, 0, 9, 10, 11, 30, 30])
    equal = np.ones_like(arrival)
    instance = Instance(gpu=Gpu(kv_capacity=14), arrival=arrival, prompt=equal, output=4 * equal)
    spaced_schedule(instance)
    equal_requests(instance)
