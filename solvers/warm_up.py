"""Compilation before a clock starts: of what an instance needs, where it is not compiled yet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..models.families.registry import make_instance
from ..models.instance import Instance
from ..models.mixed.schedule import MixedSchedule
from .compiled import PHASE, are_compiled
from .compiled_beside import CompiledBeside
from .progress import Progress

#: Compiled functions that stand for the parts of the engines, by module. "first" is what every
#: solve of mixed batching begins with; after it come prices on configurations and exhaustive
#: search, or, for larger instances, prices on memory. Path graphs compile when they are reached
#: (`path_graphs.warm_up`).
PARTS = {
    "first": (
        ("solvers.mixed.list_scheduling.list_schedule", "list_starts"),
        ("solvers.mixed.bounds.fluid_machine", "preemptive_schedule"),
    ),
    "configurations": (
        ("solvers.mixed.search.annealing", "anneal"),
        ("solvers.mixed.search.polish", "polish_pairs"),
        ("solvers.mixed.bounds.configuration_pricing", "heaviest_configuration"),
        ("solvers.mixed.exact.expansion", "expand"),
    ),
    "memory": (
        ("solvers.mixed.search.annealing", "anneal"),
        ("solvers.mixed.bounds.priced_starts", "cheapest_starts"),
    ),
    "separate": (
        ("solvers.separate.search.annealing", "anneal"),
        ("solvers.separate.exact.expansion", "expand"),
        ("solvers.separate.bounds.walk_costs", "compute_walk"),
    ),
}

#: Instances that the code of a part is run on.
SAMPLES = {"configurations": ("arrival-model-1", 12), "memory": ("lognormal-burst", 60)}


def is_compiled(model: str) -> bool:
    """Whether the whole engine of a regime is compiled: in this process, or in numba's cache.

    A look at some functions of each part; stale entries of a cache count as compiled.

    Examples
    --------
    >>> is_compiled("mixed") in (True, False)
    True
    """
    parts = ("separate",) if model == "separate" else ("first", "configurations", "memory")
    return all(are_compiled(PARTS[part]) for part in parts)


def compile_first(
    model: str,
    progress: Callable[[Progress], None] | None = None,
    *,
    instance: Instance | None = None,
) -> None:
    """Compile what an instance needs unless that is done, and say so meanwhile.

    Compilation takes up to a minute, once after installation, and would count against the time
    limit of a solve.

    Parameters
    ----------
    model : {"mixed", "separate"}
        The regime.
    progress : callable, optional
        Told of the compilation.
    instance : Instance, optional
        Only what a solve of its total latency runs is compiled; the whole engine by default.
    """
    if is_compiled(model):
        return
    compiling = _Announced(progress)
    if model == "separate":
        _compile_separate(instance, compiling)
    else:
        _compile_mixed(instance, compiling)


class _Announced:
    """Tells once that code is being compiled."""

    def __init__(self, progress: Callable[[Progress], None] | None) -> None:
        self.progress = progress

    def __call__(self) -> None:
        if self.progress is not None:
            self.progress(Progress(seconds=0.0, incumbent=None, bound=None, gap=None, phase=PHASE))
        self.progress = None


def _compile_mixed(instance: Instance | None, compiling: Callable[[], None]) -> None:
    from . import hindsight
    from .mixed.engine import has_configurations

    if not are_compiled(PARTS["first"]):
        compiling()
    with CompiledBeside("solvers.warm_up", "compile_proofs") as beside:
        parts = list(SAMPLES)
        if instance is not None:
            search = hindsight.first_steps(instance)
            if search.proved:
                return
            parts = ["configurations" if has_configurations(search) else "memory"]
        for part in parts:
            if not are_compiled(PARTS[part]):
                compiling()
                family, n = SAMPLES[part]
                sample = make_instance(family, settings={"n": n})
                hindsight.search_schedules_once(sample)
                if part == "configurations":
                    beside.join()
                hindsight.load_compiled_code(sample, paths=False)


def compile_proofs() -> None:
    """Run prices on configurations and the exhaustive search for a moment (mixed batching).

    From the schedule that serves one request at a time, so that nothing else is compiled.
    """
    from .hindsight import WARM_UP_WORK
    from .mixed.bounds.configuration import configuration_prices
    from .mixed.exact.proof import prove

    family, n = SAMPLES["configurations"]
    instance = make_instance(family, settings={"n": n})
    one_by_one = MixedSchedule(np.cumsum(instance.output) - instance.output)  # all arrive at 0
    prices = configuration_prices(instance, one_by_one, work_limit=100)
    prices = configuration_prices(instance, one_by_one, begin=prices, work_limit=100)
    prove(instance, one_by_one, prices, work_limit=WARM_UP_WORK)


def _compile_separate(instance: Instance | None, compiling: Callable[[], None]) -> None:
    from .separate import hindsight

    compiling()
    with CompiledBeside("solvers.separate.hindsight", "exhaust_once") as beside:
        if instance is not None and hindsight.first_steps(instance).proved:
            return
        hindsight.begin_once()
        beside.join()
        hindsight.load_compiled_code()
