"""Scanning policies: the future check, the scan by rank, the compiled run.

A scanning policy ranks the waiting requests and starts them in that order while they pass the
future check of arXiv 2502.07115: with what runs and what has just been started, at planned
lengths, every future completion round must stay within the KV capacity (between completions the
occupancy only grows), and the next round within the limits that the GPU has on requests and tokens
of a round (later rounds have no more of either). At one that does not pass it stops, or with
``skip`` goes on.

Planned lengths may be too short (``lengths=predicted`` or ``interval`` from the instance). A
running request that outlives its plan is then planned with one token more than it has, anew in
every round, and if the next round would overflow all the same, the most recently started requests
are evicted until it fits; nothing starts in such a round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from ...models.instance import Instance, IntArray
from ...models.mixed.schedule import MixedSchedule
from ..lengths import PLANNING_KINDS, Told, require_lengths
from ..options import require_truth
from .attained import tokens_now
from .decision import Decision
from .observation import Observation, RequestView
from .plan import Plan

#: A number, or one per request.
Numbers = TypeVar("Numbers", int, IntArray)


def volume(prompt: Numbers, output: Numbers) -> Numbers:
    """KV area of a request in token-rounds, ``Σ_{j=1..o} (s + j)``."""
    return prompt * output + output * (output + 1) // 2


@dataclass(frozen=True, slots=True)
class ScanningPolicy(ABC):
    """Scan by rank ascending (ties by arrival), start while the future check passes.

    Parameters
    ----------
    skip : bool
        Go on scanning after a request that does not fit, instead of stopping.
    lengths : {"exact", "predicted", "interval"}
        What the rank and the future check plan with (of an interval its upper end).
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    skip: bool = False
    lengths: str = "exact"
    error: float | None = None

    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_truth("skip", self.skip)
        require_lengths(self.length_kinds, self.lengths, self.error)

    @staticmethod
    @abstractmethod
    def rank(arrival: Numbers, prompt: Numbers, planned: Numbers) -> Numbers:
        """Return what the scan goes by, of a request or of each."""

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Scan the waiting requests by rank; on overflow evict."""
        if observation.overflows:
            return evict_latest(observation)
        order = sorted(
            observation.waiting, key=lambda view: self.rank(view.arrival, view.prompt, view.planned)
        )
        return scan_in_order(observation, order, skip=self.skip)

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule | None:
        """Run the whole instance as compiled code; None where a planned length is too short."""
        if np.any(told.high < instance.output):
            return None
        from ...solvers.mixed.list_scheduling.list_schedule import list_schedule

        rank = self.rank(instance.arrival, instance.prompt, told.high)
        return list_schedule(instance, rank, skip=self.skip, planned=told.high)


def scan_in_order(
    observation: Observation, order: Iterable[RequestView], *, skip: bool
) -> Decision:
    """Start requests in the given order while they pass the future check."""
    plan = observation.plan()
    start = []
    for view in order:
        if plan.start(view):
            start.append(view.index)
        elif not skip:
            break
    return Decision(start=tuple(start))


def scan_by_least(
    observation: Observation,
    least: Callable[[RequestView], int],
    rank: Callable[[RequestView], int],
) -> Decision:
    """Start by rank, ties by arrival, while the plan fits in which outputs are as short as may be.

    Parameters
    ----------
    observation : Observation
        What runs and waits.
    least : callable
        The fewest output tokens that a request may end with; of a running one at least one more
        than it has.
    rank : callable
        The least is first; the scan stops at the first that does not fit.
    """
    t = observation.time
    plan = Plan(observation.kv_capacity, t, into=observation.empty_round)
    for view in observation.running:
        assert view.start is not None
        plan.add_running(view.size(t), view.start + least(view))
    start = []
    for view in sorted(observation.waiting, key=rank):
        tokens = least(view)
        if not plan.fits(view.prompt, tokens):
            break
        plan.add(view.prompt, tokens)
        start.append(view.index)
    return Decision(start=tuple(start))


def evict_latest(observation: Observation) -> Decision:
    """Evict the most recently started requests until the next round fits; start nothing."""
    held = observation.kv_next_round
    evict = []
    for view in reversed(observation.running):
        if held <= observation.kv_capacity:
            break
        held -= view.size(observation.time + 1)
        evict.append(view.index)
    return Decision(evict=tuple(evict))


def evict_least_lost(observation: Observation) -> Decision:
    """Evict the least KV area per token freed until the next round fits, and no more than need be.

    The order is that of ``Σ_{j=1..g} (s + j) / (s + g + 1)``, g tokens so far; then those that need
    not go are kept, what would lose most first.
    """
    t = observation.time
    excess = observation.kv_next_round - observation.kv_capacity

    def lost(view: RequestView) -> float:
        return volume(view.prompt, tokens_now(view, t)) / view.size(t + 1)

    evict: list[RequestView] = []
    latest_first = reversed(observation.running)
    for view in sorted(latest_first, key=lost):
        if excess <= 0:
            break
        excess -= view.size(t + 1)
        evict.append(view)
    for view in sorted(evict, key=lost, reverse=True):
        if excess + view.size(t + 1) <= 0:
            excess += view.size(t + 1)
            evict.remove(view)
    return Decision(evict=tuple(view.index for view in evict))
