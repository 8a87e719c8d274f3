"""Gittins: the best ratio of completions to KV area first, by the law of lengths so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.errors import InputError
from ....models.instance import IntArray
from ...gittins import GittinsIndex
from ...learned_lengths import LengthLaw
from ...protocol import RememberingPolicy, Run
from ..attained import Attained, tokens_now
from ..decision import Decision
from ..observation import Observation, RequestView
from ..preempting import serve_in_order
from ..scanning import volume

#: What lengths are taken to be: learned from the run, or o ~ U{1 .. M − s} as published.
LAWS = ("past", "arrival-model-2")

#: Lengths at which a learned law is evaluated, and completed requests to a knot of it.
GRID, EACH = 64, 16


@dataclass(frozen=True, slots=True)
class Gittins(RememberingPolicy[Observation, Decision]):
    """Hold in each round the requests of the best Gittins index, as many as fit.

    The index of a request that has had g output tokens is the best ratio, over all times to stop,
    of its chance to complete by then to the KV area that it takes until then, both given that it
    has more than g. What was evicted has to hold the area of its g tokens once more before that
    tells anything. On one server of speed M that preempts without loss, serving by the index
    minimises the mean latency of requests that are all there at 0; batches and restarts are not
    such a server, so here it is a heuristic. Ties go to what runs, then by arrival.

    Parameters
    ----------
    law : {"past", "arrival-model-2"}
        The law of lengths: by Kaplan and Meier from this run, smoothed between at most three
        quantiles, one per 16 completed requests, and M − s (`LengthLaw.smoothed`); or the published
        o ~ U{1 .. M − s}.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    AMin : Evicts the fewest tokens first, which loses less work.

    Examples
    --------
    Of one to eight tokens the first has had four when the second arrives, and only the second may
    end with an area of two. It does not, and the first, which must begin anew, comes later.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 4], prompt=[1, 3], output=[8, 2])
    >>> schedule = simulate(instance, Gittins())
    >>> schedule.start.tolist(), [(run.request, run.start, run.end) for run in schedule.evicted]
    ([0, 8], [])

    References
    ----------
    Gittins, *Bandit processes and dynamic allocation indices*, J. R. Stat. Soc. B 41, 1979; Sevcik,
    *Scheduling for minimum total loss using service time distributions*, J. ACM 21, 1974.
    """

    law: str = "past"

    name: ClassVar[str] = "gittins"
    summary: ClassVar[str] = "best Gittins index per KV area first, by preemption; learns lengths"
    source: ClassVar[str] = "Gittins 1979, Sevcik 1974; per KV area and with restarts"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError(f"law: expected one of {', '.join(LAWS)}; found {self.law!r}")

    def session(self) -> GittinsRun:
        """Return the policy for one run: it remembers tokens of evicted requests."""
        return GittinsRun(self)


class GittinsRun(Run[Observation, Decision]):
    """One run of `Gittins`.

    Parameters
    ----------
    policy : Gittins
        Its options.
    """

    def __init__(self, policy: Gittins) -> None:
        super().__init__(policy)
        self._learns = policy.law == "past"
        self._attained = Attained()
        self._indices: dict[int, GittinsIndex] = {}  # by prompt

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Hold the requests of the least rank, which is the inverse of the index."""
        self._attained.look(observation)
        law = None
        if self._learns:
            law = self._attained.law(observation)
            self._indices.clear()
        ranks = {
            view.index: self._rank(view, observation, law)
            for view in (*observation.running, *observation.waiting)
        }
        order = sorted(
            (*observation.running, *observation.waiting),
            key=lambda view: (ranks[view.index], view.start is None, view.arrival, view.index),
        )
        return serve_in_order(observation, order)

    def _rank(self, view: RequestView, observation: Observation, law: LengthLaw | None) -> float:
        """Return KV area per completion of a request that is served to the best time to stop."""
        had = volume(view.prompt, self._attained.tokens(view.index))
        again = had - volume(view.prompt, tokens_now(view, observation.time))
        index = self._indices.get(view.prompt)
        if index is None:
            index = self._index(view.prompt, observation.kv_capacity, law)
            self._indices[view.prompt] = index
        return index.rank(had, setup=again)

    @staticmethod
    def _index(prompt: int, kv_capacity: int, law: LengthLaw | None) -> GittinsIndex:
        """Return the index of requests with a prompt, in units of KV area."""
        if law is None:
            return GittinsIndex(_areas(prompt, np.arange(1, kv_capacity - prompt + 1)))
        grid = np.unique(np.linspace(0, kv_capacity - prompt, GRID).round()).astype(np.int64)
        survival = law.smoothed(grid, EACH)
        return GittinsIndex(_areas(prompt, grid[1:]), survival[:-1] - survival[1:])


def _areas(prompt: int, output: IntArray) -> IntArray:
    areas: IntArray = prompt * output + output * (output + 1) // 2
    return areas
