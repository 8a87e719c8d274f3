"""The Bayes selector for latency: hindsight schedules of sampled futures vote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ....models.errors import InputError
from ....models.instance import IntArray
from ...coupling.futures import LAWS, Law
from ...lengths import LENGTH_KINDS, require_lengths
from ...options import require_integer
from ..decision import Decision
from ..observation import Observation, RequestView
from ..scanning import evict_latest

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ....solvers.random_stream import Stream
    from ..hindsight import World

#: Who, release, prompt, output of the requests of a world, shape (m,) each.
Columns = tuple[IntArray, IntArray, IntArray, IntArray]


@dataclass(frozen=True, slots=True)
class Bayes:
    """Start what most hindsight schedules of sampled futures start now, one request at a time.

    At each round boundary at which a waiting request fits, `samples` futures are drawn from the
    law given what has arrived, and for each a hindsight schedule of all that runs, waits and is to
    come is found (annealing of `effort` steps, from the schedules of the last decision). Then they
    vote in sequence: if at least half of the schedules start something now, the request that most
    of them start is started, the other schedules are made to agree, and they vote again. Voting on
    each request by itself would stall the machine where schedules start different requests.

    An action's compensation is 0 where the hindsight schedule takes it, so the most votes mean the
    smallest estimated probability of a disagreement: the Bayes selector. No constant regret is
    claimed for latency.

    Parameters
    ----------
    law : {"past", "arrival-model-1", "arrival-model-2"}
        What futures are drawn from: an estimate from what has arrived, or a published law with its
        rate and last round unknown.
    samples : int
        K ≥ 1 futures per decision.
    effort : int
        Annealing steps per future, ≥ 0.
    lengths : {"exact", "predicted", "interval", "none"}
        What is known of output lengths; within an interval, or of nothing, they are drawn too.
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> simulate(instance, Bayes(law="arrival-model-1", samples=1, effort=100)).start.tolist()
    [0, 3]

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, §3; docs/coupling.md.
    """

    law: str = "past"
    samples: int = 15
    effort: int = 1000
    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "bayes"
    summary: ClassVar[str] = "hindsight schedules of sampled futures vote, request by request"
    source: ClassVar[str] = "arXiv 1901.05028 (Bayes selector), with sampled hindsight"
    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError(f"law: expected one of {', '.join(LAWS)}; found {self.law!r}")
        require_integer("samples", self.samples, low=1)
        require_integer("effort", self.effort, low=0)
        require_lengths(self.length_kinds, self.lengths, self.error)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Decide once, without plans from before."""
        return self.session().decide(observation, rng)

    def session(self) -> BayesRun:
        """Return the policy for one run: it keeps its plans from decision to decision."""
        return BayesRun(self)


class BayesRun:
    """One run of `Bayes`: the last hindsight schedules are where the next annealings begin.

    Parameters
    ----------
    policy : Bayes
        Its options.
    """

    name: ClassVar[str] = Bayes.name
    summary: ClassVar[str] = Bayes.summary
    source: ClassVar[str] = Bayes.source
    length_kinds: ClassVar[tuple[str, ...]] = Bayes.length_kinds

    def __init__(self, policy: Bayes) -> None:
        self.policy = policy
        self._law = LAWS[policy.law]
        self._plans: list[Mapping[int, int]] = [{} for _ in range(policy.samples)]

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Draw futures and let their hindsight schedules vote."""
        if observation.overflows:
            return evict_latest(observation)
        if not any(_fits_next_round(observation, view, 0) for view in observation.waiting):
            return Decision()
        from ....solvers.random_stream import random_stream

        stream = random_stream(int(rng.integers(2**63)))
        worlds = [self._world(observation, plan, rng, stream) for plan in self._plans]
        start = tuple(self._vote(observation, worlds, stream))
        self._plans = [_plan(observation.time, world) for world in worlds]
        return Decision(start=start)

    def _world(
        self,
        observation: Observation,
        plan: Mapping[int, int],
        rng: np.random.Generator,
        stream: Stream,
    ) -> World:
        """Draw a future and solve it, from the order of a plan where there is one."""
        from ...coupling.plans import merged_order
        from ..hindsight import REHEAT, World, first_order

        t, waiting = observation.time, observation.waiting
        future = self._law.draw(observation, rng)
        lengths = [_length(view, 0, observation, self._law, rng) for view in waiting]
        arrived = np.zeros(len(waiting), np.int64)
        columns = (
            np.array([*(view.index for view in waiting), *[-1] * future.arrival.size], np.int64),
            np.concatenate((arrived, future.arrival - t)),
            np.concatenate((np.array([view.prompt for view in waiting], np.int64), future.prompt)),
            np.concatenate((np.array(lengths, np.int64), future.output)),
        )
        runs = _runs(observation, self._law, rng)
        first = first_order(*columns[1:])
        columns = _closer(columns, runs)
        fixed = _held(runs, observation.kv_capacity, *columns[1:])
        world = World(*columns, fixed, observation.kv_capacity, np.zeros(0, np.int64))
        planned = np.array([plan.get(int(i), -1) for i in columns[0]], np.int64)
        order = merged_order(first, planned)
        # Where nobody is to come and a plan is there, it is only bettered.
        refine = future.arrival.size == 0 and bool(plan)
        world.solve(order, self.policy.effort, REHEAT if refine else 1.0, stream)
        return world

    def _vote(self, observation: Observation, worlds: list[World], stream: Stream) -> Iterable[int]:
        """Yield requests to start, while most worlds start something."""
        waiting = {view.index: view for view in observation.waiting}
        held = 0
        while waiting:
            ballots = [
                [
                    i
                    for i in world.starts_now().tolist()
                    if _fits_next_round(observation, waiting[i], held)
                ]
                for world in worlds
            ]
            must = not observation.running and held == 0
            if 2 * sum(map(bool, ballots)) < len(worlds) and not must:
                return
            chosen = _most_votes(ballots, worlds)
            held += waiting.pop(chosen).prompt + 1
            yield chosen
            for world in worlds:
                world.commit(chosen, self.policy.effort, stream)


def _plan(t: int, world: World) -> dict[int, int]:
    """When the requests that wait start in a world."""
    there = world.who >= 0
    return dict(zip(world.who[there].tolist(), (t + world.start[there]).tolist(), strict=True))


def _most_votes(ballots: list[list[int]], worlds: list[World]) -> int:
    """The request that most worlds start now; without any vote, what they start first."""
    votes = [i for ballot in ballots for i in ballot]
    if not votes:
        firsts = [world.who[world.who >= 0][_first(world)] for world in worlds]
        votes = [int(i) for i in firsts]
    requests, counts = np.unique(np.array(votes), return_counts=True)
    return int(requests[int(np.argmax(counts))])


def _first(world: World) -> int:
    return int(np.argmin(world.start[world.who >= 0]))


def _fits_next_round(observation: Observation, view: RequestView, held: int) -> bool:
    """Whether round t + 1 has room for a start beside what runs and `held` tokens more."""
    room = observation.kv_capacity - observation.kv_next_round - held
    return view.prompt + 1 <= room


def _length(
    view: RequestView, tokens: int, observation: Observation, law: Law, rng: np.random.Generator
) -> int:
    """Output length in a world: as told, drawn from an interval, or drawn from the law."""
    if view.shortest is None or view.longest is None:
        return law.output(view, tokens, observation, rng)
    if view.shortest == view.longest:
        return view.longest
    return int(rng.integers(max(view.shortest, tokens + 1), view.longest + 1))


def _runs(observation: Observation, law: Law, rng: np.random.Generator) -> list[tuple[int, int]]:
    """KV tokens that each running request holds now, and the rounds that it still takes."""
    runs = []
    for view in observation.running:
        assert view.start is not None
        tokens = observation.time - view.start
        runs.append((view.prompt + tokens, _length(view, tokens, observation, law, rng) - tokens))
    return runs


def _closer(columns: Columns, runs: list[tuple[int, int]]) -> Columns:
    """Leave out the stretches of time in which nothing could be running."""
    from ..hindsight import without_idle_stretches

    who, release, prompt, output = columns
    left = max((rounds for _, rounds in runs), default=0)
    return who, without_idle_stretches(release, output, left), prompt, output


def _held(
    runs: list[tuple[int, int]], M: int, release: IntArray, prompt: IntArray, output: IntArray
) -> IntArray:
    """KV tokens held by what runs, in rounds from now, with room for a schedule of the rest."""
    volume = int((prompt * output + output * (output + 1) // 2).sum())
    longest = max([int(output.max()), *(left for _, left in runs)])
    last = int(release.max()) + 2 * longest + 3 * volume // M
    fixed = np.zeros(last + 1, np.int64)
    for size, left in runs:
        fixed[1 : left + 1] += size + np.arange(1, left + 1)
    return fixed
