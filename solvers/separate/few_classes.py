"""Instances of one class: the programs of equal requests, before the engine.

Searches over orders start what fits; here what is best is to wait.
"""

from __future__ import annotations

from ...models.separate.schedule import SeparateSchedule
from ..best_so_far import BestSoFar
from ..compiled import PHASE
from ..recipe import Options
from .equal_requests.recipe import EQUAL, are_equal, equal_requests
from .equal_requests.warm_up import compile_equal_requests, equal_requests_are_compiled

#: Parts of the time for all of it and for the grids; entries of tables in a second and in a unit of
#: work, about; placements of a request in a unit of work.
SHARE, GRID_SHARE = 0.7, 0.3
ENTRIES_PER_SECOND, ENTRIES_PER_UNIT, PLACEMENTS_PER_UNIT = 4_000_000, 40, 100

#: Changes of the annealing by clock, at most.
MOST_STEPS = 10_000_000


def by_class(search: BestSoFar[SeparateSchedule], options: Options) -> None:
    """Search the starts of equal requests on finer and finer grids, in a part of the time."""
    if search.objective != "latency" or search.proved or not are_equal(search.instance):
        return
    if not equal_requests_are_compiled():
        search.off_the_clock(PHASE, compile_equal_requests)
    by_clock, left = options.work_limit is None, search.seconds_left
    until = search.seconds + SHARE * left
    if options.work_limit is None:
        entries, steps = min(2.0**40, GRID_SHARE * left * ENTRIES_PER_SECOND), MOST_STEPS
    else:
        entries = options.work_limit * ENTRIES_PER_UNIT
        steps = options.work_limit * PLACEMENTS_PER_UNIT // search.instance.n
    for found in equal_requests(
        search.instance,
        entries=int(entries),
        steps=steps,
        seed=options.seed,
        stop=lambda: search.proved or (by_clock and search.seconds > until),
    ):
        if found.schedule is not None:
            search.offer(found.schedule, EQUAL)
        if found.proof is not None:
            search.proved_bound(EQUAL, found.bound, found.proof)
        search.tell(EQUAL)
