"""How large the MILP of an instance is, before it is built, and before Pyomo is loaded."""

from __future__ import annotations

import math

import numpy as np

from ...models.instance import IntArray
from ...models.mixed.milp.horizon import latest_starts
from ...models.mixed.milp.offered_starts import offered_starts
from ...models.mixed.schedule import MixedSchedule
from ...models.objectives import Exact
from ..best_so_far import BestSoFar
from .bounds.combinatorial import best_bound

#: Beyond this many binaries the MILP is not tried: its root LP alone would take minutes, and its
#: bound would be weaker than the KV-area bounds.
MOST_BINARIES = 120_000

#: With a limit on nodes, which says nothing of the root: at most this many binaries, and this many
#: more for each node. The root of 2,000 takes about a second.
ROOT_BINARIES, BINARIES_PER_NODE = 2_000, 200

#: Beyond this many requests the horizon is derived without a bound per left-out request.
MOST_LEFT_OUT_BOUNDS = 300


def is_applicable(search: BestSoFar[MixedSchedule]) -> bool:
    """Whether the MILP has at most `MOST_BINARIES` binaries."""
    instance = search.instance
    if instance.n > MOST_BINARIES:  # a binary each, at least
        return False
    return offered_starts(instance, latest_starts_of(search)).count <= MOST_BINARIES


def most_binaries(work_limit: int | None) -> int:
    """Return how many binaries a MILP may have for its root to be in proportion to the nodes.

    Examples
    --------
    >>> most_binaries(5), most_binaries(None)
    (3000, 120000)
    """
    if work_limit is None:
        return MOST_BINARIES
    return min(MOST_BINARIES, ROOT_BINARIES + BINARIES_PER_NODE * work_limit)


def latest_starts_of(search: BestSoFar[MixedSchedule]) -> IntArray:
    """Latest starts by the value of the schedule and, for the latency, a bound without each i."""
    instance = search.instance
    others: list[Exact] | None = None
    if search.objective == "latency" and 1 < instance.n <= MOST_LEFT_OUT_BOUNDS:
        everyone = np.arange(instance.n)
        others = [math.ceil(best_bound(instance.take(np.delete(everyone, i)))) for i in everyone]
    return latest_starts(instance, search.objective, value=search.value, others=others)
