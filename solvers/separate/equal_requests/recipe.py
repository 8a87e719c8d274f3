"""Equal requests, separate batching: a good schedule and a bound, by programs over patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ....models.batch_time import AffineTime
from ....models.instance import Instance, IntArray
from ....models.separate.columns import Columns
from ....models.separate.problem import separate_problem
from ....models.separate.schedule import SeparateSchedule
from ...certificates.separate.equal_requests import SeparateEqualRequestsProof
from .patterns import Grid, Patterns, Rules, below_grid, on_grid, patterns
from .spacing import Spacing, improve, spacing_of, starts_of, sum_of_completions
from .tables import NEVER, Times, bound_below, path_on

#: What the programs of equal requests are called.
EQUAL = "equal requests"

#: Entries of all tables of one grid, states times requests, at most: 12 to 16 bytes each.
MOST_ENTRIES = 16_000_000

#: Changes in a run of the annealing.
STEPS_PER_RUN = 500_000

#: Token batches of a block that are tried, each this many times the one before, about.
COARSER = 1.15


@dataclass(frozen=True, slots=True)
class EqualRequests:
    """What was found on a grid.

    Attributes
    ----------
    schedule : SeparateSchedule or None
        A feasible schedule.
    bound : int
        No schedule has a smaller total latency; 0 if nothing was proved.
    proof : SeparateEqualRequestsProof or None
        Its proof.
    """

    schedule: SeparateSchedule | None
    bound: int
    proof: SeparateEqualRequestsProof | None


def are_equal(instance: Instance) -> bool:
    """Whether all requests have the same s and o ≥ 2, and batches of a kind take equally long."""
    s, o = instance.prompt, instance.output
    alike = bool((s == s[0]).all() and (o == o[0]).all() and o[0] > 1)
    return alike and not isinstance(instance.gpu.batch_time, AffineTime)


def equal_requests(
    instance: Instance,
    *,
    entries: int,
    steps: int = 0,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[EqualRequests]:
    """Yield schedules and bounds, on finer and finer grids (separate batching, total latency).

    Then the best schedule of all grids is annealed (`spacing`).

    Parameters
    ----------
    instance : Instance
        The instance; where `are_equal` is False nothing is yielded.
    entries : int
        Entries of tables, at most; a second holds some millions.
    steps : int
        Changes of the annealing, at most, in runs of `STEPS_PER_RUN`.
    seed : int
        Of the annealing, ≥ 0.
    stop : callable
        Asked between grids and in the annealing; True ends the search.

    Yields
    ------
    EqualRequests
        Of each grid, not always better than that of the grid before; then each better schedule.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> three = Instance(gpu=Gpu(kv_capacity=16), arrival=[0] * 3, prompt=[2] * 3, output=[5] * 3)
    >>> *_, found = equal_requests(three, entries=10**6)
    >>> found.bound, int(found.schedule.completion(three).sum())
    (20, 20)
    """
    if not are_equal(instance):
        return
    given = _given(instance)
    n, rules, times = instance.n, given.rules, given.times
    if int(times.arrival[-1]) + n * (times.prompt + rules.o * times.token) >= NEVER:
        return
    left, best = entries, _Best(2**62, None)
    for batches in _block_lengths(rules.o - 1):
        most = min(MOST_ENTRIES, left) // (n + 1)
        on = _patterns(on_grid(rules, batches), most)
        below = _patterns(below_grid(rules, batches), most)
        if stop() or (on is None and below is None):
            break
        left -= (n + 1) * sum(int(each.first[-1]) for each in (on, below) if each is not None)
        schedule: SeparateSchedule | None = None
        proof: SeparateEqualRequestsProof | None = None
        bound = 0
        if on is not None:
            spacing = spacing_of(path_on(on, times).steps, batches, rules.o - 1)
            schedule = given.schedule(spacing)
            best = min(best, _Best(given.value(spacing), spacing), key=lambda each: each.value)
        if below is not None:
            found = bound_below(below, times)
            proof = SeparateEqualRequestsProof(batches=batches, split=found.split)
            bound = found.total - int(times.arrival.sum())
        yield EqualRequests(schedule, bound, proof)
    yield from _annealed(given, best, steps, seed, stop)


def _annealed(
    given: _Given, best: _Best, steps: int, seed: int, stop: Callable[[], bool]
) -> Iterator[EqualRequests]:
    """Yield better and better schedules, run after run from the best one."""
    for run in range(-(-steps // STEPS_PER_RUN)):
        if best.spacing is None or stop():
            return
        better = improve(
            best.spacing,
            given.rules,
            given.times,
            steps=min(STEPS_PER_RUN, steps - run * STEPS_PER_RUN),
            seed=seed + run,
            stop=stop,
        )
        value = given.value(better)
        if value < best.value:
            best = _Best(value, better)
            yield EqualRequests(given.schedule(better), 0, None)


def _patterns(grid: Grid, most: int) -> Patterns | None:
    return patterns(grid, most) if most > 0 else None


def _block_lengths(jobs: int) -> list[int]:
    """Token batches of a block from coarse to fine."""
    lengths, batches = [], 1
    while batches < jobs:
        lengths.append(batches)
        batches = max(batches + 1, round(COARSER * batches))
    return [jobs, *lengths[::-1]]


class _Best(NamedTuple):
    """The best spacing so far, and its sum of completions."""

    value: int
    spacing: Spacing | None


@dataclass(frozen=True, slots=True)
class _Given:
    """An instance in order of arrival."""

    instance: Instance
    order: IntArray
    rules: Rules
    times: Times

    def value(self, spacing: Spacing) -> int:
        """Sum of the completions."""
        start = starts_of(spacing, self.rules)
        return int(sum_of_completions(spacing, start, self.rules.o - 1, self.times))

    def schedule(self, spacing: Spacing) -> SeparateSchedule:
        """Return the schedule of a spacing."""
        start, jobs = starts_of(spacing, self.rules), self.rules.o - 1
        firsts = np.append(np.flatnonzero(spacing.first), start.size).tolist()
        read: dict[int, list[IntArray]] = {}
        for j, end in pairwise(firsts):
            read.setdefault(int(start[j]), []).append(np.arange(j, end))
        at = np.arange(int(start[-1]) + jobs)
        begun = np.searchsorted(start, at, side="right")
        done = np.searchsorted(start + jobs, at, side="right")
        prompt: list[bool] = []
        members: list[IntArray] = []
        for k in at.tolist():
            batches = read.get(k, [])
            prompt.extend([*(True for _ in batches), False])
            members.extend([*batches, np.arange(done[k], begun[k])])
        size = np.array([each.size for each in members], np.int64)
        columns = Columns(np.array(prompt), size, self.order[np.concatenate(members)])
        return SeparateSchedule.left_shifted(self.instance, columns)


def _given(instance: Instance) -> _Given:
    problem = separate_problem(instance)
    order = np.argsort(instance.arrival, kind="stable")
    s, o = int(instance.prompt[0]), int(instance.output[0])
    return _Given(
        instance,
        order,
        Rules(s, o, problem.M, min(problem.B_P, problem.C_P // s), problem.B_D),
        Times(problem.law.prompt_batch(s), problem.law.token_batch(1, s), instance.arrival[order]),
    )
