"""Sorted-F: sets of requests by total output over squared size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.mixed.schedule import MixedSchedule
from ...lengths import PLANNING_KINDS, Told, require_lengths
from ..decision import Decision
from ..observation import Observation, RequestView
from ..plan import Plan
from ..scanning import ScanningPolicy, evict_latest, scan_in_order
from .mc_sf import McSf
from .shortest_total import ShortestTotal
from .smallest_volume import SmallestVolume


@dataclass(frozen=True, slots=True)
class SortedF:
    """Order the waiting requests set by set, then scan them with the future check.

    Repeatedly take, out of the waiting requests not yet taken, the feasible set X that minimises
    ``F(X) = Σ_{i∈X} o_i / |X|²``; within a set order by output, ties by arrival. A set is feasible
    if all of it, started together on an empty GPU, fits at all its completion rounds, and in its
    first round within the GPU's limits on requests and tokens. The order
    is a function of the waiting requests alone, made anew at every round boundary; the scan starts
    requests in it while they pass the future check, and stops at the first that does not.

    With up to 10 requests not yet taken the minimum is exact, by enumeration; of equal sets the
    first counts, sets being numbered in binary with the shortest request as the lowest digit.
    Beyond, it is a heuristic: three times, in order of output, of prompt + output and of volume
    (ties by arrival), a set is grown up to the first request that makes it infeasible; of all sets
    met on the way the one of least F is taken, the first of equals.

    Parameters
    ----------
    lengths : {"exact", "predicted", "interval"}
        What it plans with (of an interval the upper end).
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    The wide request has F = 1, the two narrow ones together F = 4/4 = 1, each alone 2, all three
    do not fit: of the equal sets {wide} comes first.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 0, 0], prompt=[8, 1, 1], output=[1, 2, 2]
    ... )
    >>> simulate(instance, SortedF()).start.tolist()
    [0, 1, 1]

    References
    ----------
    arXiv 2508.06133 (Sorted-F); the heuristic and its tie rules are ours.
    """

    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "sorted-f"
    summary: ClassVar[str] = "sets by Σ output / size², with the future check"
    source: ClassVar[str] = "arXiv 2508.06133 (Sorted-F)"
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_lengths(self.length_kinds, self.lengths, self.error)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Scan the waiting requests set by set."""
        if observation.overflows:
            return evict_latest(observation)
        return scan_in_order(observation, _set_by_set(observation), skip=False)

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule | None:
        """Run the whole instance as compiled code; None where a planned length is too short."""
        if np.any(told.high < instance.output):
            return None
        from ..kernels.sorted_f import run_sorted_f

        return run_sorted_f(instance, told.high)


def _set_by_set(observation: Observation) -> Iterator[RequestView]:
    from ..kernels.sorted_f import EXACT_LIMIT

    left = list(observation.waiting)
    while left:
        exact = len(left) <= EXACT_LIMIT
        best = (_best_set if exact else _good_set)(left, observation)
        yield from sorted(best, key=lambda view: (view.planned, view.arrival, view.index))
        left = [view for view in left if view not in best]


def _best_set(requests: Sequence[RequestView], observation: Observation) -> list[RequestView]:
    """Enumerate all sets; those of least F, then the lowest number."""
    requests = sorted(requests, key=lambda view: view.planned)
    least, best = np.inf, [requests[0]]
    for number in range(1, 2 ** len(requests)):
        chosen = [view for j, view in enumerate(requests) if number >> j & 1]
        value = _F(chosen)
        if value < least and _feasible(chosen, observation):
            least, best = value, chosen
    return best


def _good_set(requests: Sequence[RequestView], observation: Observation) -> list[RequestView]:
    """Grow a set in each of three orders; take the best met on the way."""
    least, best = np.inf, [requests[0]]
    for policy in (McSf, ShortestTotal, SmallestVolume):
        plan = Plan(observation.kv_capacity, t=0, into=observation.empty_round)
        grown: list[RequestView] = []
        for view in sorted(requests, key=partial(_rank, policy)):
            if not plan.fits(view.prompt, view.planned):
                break
            plan.add(view.prompt, view.planned)
            grown.append(view)
            if _F(grown) < least:
                least, best = _F(grown), list(grown)
    return best


def _feasible(chosen: Sequence[RequestView], observation: Observation) -> bool:
    """Say whether all of them, started together on an empty GPU, keep to all its limits."""
    M, filled = observation.kv_capacity, observation.empty_round
    for view in chosen:
        if not filled.takes(view.prompt):
            return False
        filled.add(view.prompt)
    return all(
        sum(view.prompt + last.planned for view in chosen if view.planned >= last.planned) <= M
        for last in chosen
    )


def _F(chosen: Sequence[RequestView]) -> float:  # noqa: N802 - F as in the paper
    return sum(view.planned for view in chosen) / len(chosen) ** 2


def _rank(policy: type[ScanningPolicy], view: RequestView) -> int:
    return policy.rank(view.arrival, view.prompt, view.planned)
