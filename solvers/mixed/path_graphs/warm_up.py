"""Compilation of the path graphs, which most solves of small instances never come to."""

from __future__ import annotations

from ....models.families.registry import make_instance
from ....models.objectives import total_latency
from ...compiled import are_compiled
from ..bounds.configuration import configuration_prices
from ..list_scheduling.list_schedule import list_schedule
from .sublimation import least_up_to

#: Compiled functions that stand for all.
FUNCTIONS = (
    ("solvers.mixed.path_graphs.passes", "forward"),
    ("solvers.mixed.path_graphs.expansion", "expand"),
)


def paths_are_compiled() -> bool:
    """Whether the code of path graphs is compiled: in this process, or in numba's cache.

    Examples
    --------
    >>> paths_are_compiled() in (True, False)
    True
    """
    return are_compiled(FUNCTIONS)


def compile_paths() -> None:
    """Search the path graphs of a small instance, so that their code is compiled, or loaded."""
    instance = make_instance("arrival-model-1", settings={"n": 7, "kv_capacity": 20})
    schedule = list_schedule(instance, instance.output)
    prices = configuration_prices(instance, schedule, work_limit=10)
    least_up_to(instance, prices, int(total_latency(instance, schedule.completion(instance))))
