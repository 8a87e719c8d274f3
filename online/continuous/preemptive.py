"""The next batch by rank, where the best ranked preempt the others: seats and KV memory follow.

All that is present is ranked, running or not. In that order each takes a token job or a chunk.
Where blocks or seats run out, the worst ranked request that holds a cache and has no part in the
batch is preempted, if it is ranked below the one that needs them; a waiting request preempts only
where all that it has to read will fit. What the batch has no tokens for keeps its cache and pauses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...models.continuous.problem import Limits
from ...models.durations import Durations
from ..options import require_truth
from .decision import ContinuousDecision
from .observation import ContinuousObservation, ContinuousView, in_blocks
from .rule import require_limits


class Seats(NamedTuple):
    """Limits of a batch.

    Attributes
    ----------
    requests, tokens : int
        Requests that hold a cache, and tokens in the batch.
    preempt : bool
        Whether waiting requests preempt; without, only those that run and need a block do.
    """

    requests: int
    tokens: int
    preempt: bool = True


def batch_by_rank(
    gpu: Limits,
    seats: Seats,
    running: Sequence[ContinuousView],
    order: Sequence[ContinuousView],
) -> ContinuousDecision:
    """Return the next batch.

    Parameters
    ----------
    gpu : Limits
        The GPU.
    seats : Seats
        Limits no wider than the GPU's.
    running : sequence of ContinuousView
        Requests that hold a cache.
    order : sequence of ContinuousView
        All requests, the best ranked first.

    Examples
    --------
    The short one is ranked first. Its two tokens do not fit beside a cache of 7: that is dropped.

    >>> gpu = Limits(8, 1, 4, 9, True)
    >>> long = ContinuousView(0, 0, 5, tokens=3, cached=7, ready=True)
    >>> short = ContinuousView(1, 2, 2)
    >>> batch_by_rank(gpu, Seats(4, 9), [long], [short, long])
    ContinuousDecision(prefill=((1, 2),), decode=(), preempt=(0,), wake_at=None)
    """
    block = gpu.block
    held = {view.index: in_blocks(view.cached, block) for view in running}
    free, left = gpu.blocks * block - sum(held.values()), seats.tokens
    place = {view.index: at for at, view in enumerate(order)}
    droppable = sorted(held, key=place.__getitem__)  # the worst ranked last
    chunks: dict[int, int] = {}
    jobs: list[int] = []
    dropped: list[int] = []
    for at, view in enumerate(order):
        if left == 0:
            break
        i = view.index
        tokens = 1 if view.ready else min(view.unread, left)
        if i in dropped or (tokens < view.unread and not gpu.chunked):
            continue
        had = held.get(i, 0)
        needed = in_blocks(view.cached + tokens, block) - had
        whole = needed if i in held else in_blocks(view.unread, block)
        may = i in held or seats.preempt
        worse = [j for j in droppable if place[j] > at] if may else []
        while worse and (whole > free or (i not in held and len(held) >= seats.requests)):
            if whole > free + sum(held[j] for j in worse):
                break
            victim = worse.pop()
            droppable.remove(victim)
            dropped.append(victim)
            free += held.pop(victim)
        if whole > free or (i not in held and len(held) >= seats.requests):
            continue
        if i in droppable:
            droppable.remove(i)
        held[i] = had + needed
        free -= needed
        left -= tokens
        if view.ready:
            jobs.append(i)
        else:
            chunks[i] = tokens
    return ContinuousDecision(tuple(chunks.items()), tuple(jobs), tuple(dropped))


def reading_time(view: ContinuousView, law: Durations) -> float:
    """Return how long the next token's reading takes, in token jobs of its own; 0 if all is read.

    Examples
    --------
    Under unit times a prompt is read in one batch, whatever its length.

    >>> reading_time(ContinuousView(0, 0, 500), Durations(1, 1, 0, 0, 0, 1))
    1.0
    """
    if view.ready:
        return 0.0
    return law.batch(view.unread, 0, 0) / law.batch(0, 1, view.prompt + view.tokens)


@dataclass(frozen=True, slots=True)
class RankPolicy:
    """A policy that ranks all that is present, told nothing of output lengths.

    Parameters
    ----------
    max_num_seqs : int, optional
        Most requests that hold a cache, ≥ 1; the GPU's limit where it is left out or smaller.
    max_num_batched_tokens : int, optional
        Most prompt tokens and token jobs in a batch, ≥ 1, likewise.
    preempt : bool
        Whether waiting requests preempt running ones that are ranked below them; without, only
        running ones do, where they need a block.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    preempt: bool = True

    model: ClassVar[str] = "continuous"
    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_limits(
            max_num_seqs=self.max_num_seqs, max_num_batched_tokens=self.max_num_batched_tokens
        )
        require_truth("preempt", self.preempt)

    def seats(self, gpu: Limits) -> Seats:
        """Return its limits on a GPU."""
        most, tokens = self.max_num_seqs, self.max_num_batched_tokens
        return Seats(
            min(gpu.running, gpu.running if most is None else most),
            min(gpu.tokens, gpu.tokens if tokens is None else tokens),
            self.preempt,
        )

    def rank(self, view: ContinuousView, law: Durations) -> float:
        """Return a request's rank; the least is served first, ties by arrival."""
        raise NotImplementedError

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Build the next batch by rank."""
        here = sorted(
            (*observation.running, *observation.waiting), key=lambda v: (v.arrival, v.index)
        )
        order = sorted(here, key=lambda view: self.rank(view, observation.law))
        gpu = observation.limits
        return batch_by_rank(gpu, self.seats(gpu), observation.running, order)
