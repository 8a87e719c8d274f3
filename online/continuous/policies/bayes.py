"""The Bayes selector for latency under continuous batching: hindsight schedules vote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ....models.instance import IntArray
from ...coupling.bayes_policy import BayesPolicy, VotingSession
from ...coupling.bayes_selector import elected
from ...coupling.futures import Future, Law, draw_length
from ...coupling.history import History, Past
from ...lengths import LENGTH_KINDS
from ..batch_builder import BatchBuilder
from ..decision import ContinuousDecision
from ..observation import ContinuousObservation, ContinuousView
from ..rule import CHUNK, PLAN, rule_of

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ....solvers.random_stream import Stream
    from ..hindsight import World

#: Drawn futures are cut off after this many arrivals: what comes later hardly matters now.
MOST_TO_COME = 30


class Plan(NamedTuple):
    """A schedule of what is left in a future.

    Attributes
    ----------
    future : Future
        Who is to come in it, as it was drawn.
    order : tuple of int
        Requests without a cache in the order in which they are admitted: their index, or −1 − j
        for the j-th of the future.
    most : int
        Most requests that run at once.
    wave : int
        How many fewer than that run when a wave of admissions begins.
    """

    future: Future
    order: tuple[int, ...]
    most: int
    wave: int


class Sampled(NamedTuple):
    """A sampled future with its world."""

    future: Future
    world: World


@dataclass(frozen=True, slots=True)
class Bayes(BayesPolicy[ContinuousObservation, ContinuousDecision]):
    """Admit what most hindsight schedules of sampled futures admit now, request by request.

    Every batch serves all that runs. At each boundary at which the batch and the seats have room
    for a waiting request, and a request has arrived, completed or been admitted since the last
    vote, each of `samples` futures gets a hindsight schedule: an order of admissions and a limit on
    running requests (list schedules by the usual orders, then annealing of `effort` steps, from the
    schedule of the last decision). Then they vote: if at least half of them admit a request now,
    the one that most admit is admitted, the others are made to agree, and they vote again
    (`bayes_selector.elected`). Futures and schedules are kept from vote to vote, and one of them is
    drawn anew each time, in turn. Where the future is certain, since none is to come and all
    lengths are told, what the best of the schedules admits is admitted.

    What is admitted is checked as the ranked policies do it (`ranked.RankedPolicy`) where lengths
    are told; with ``lengths=none`` a free block for the chunk is enough, as in vLLM, and the
    request that began last is preempted when blocks run out. The options are those of
    `BayesPolicy`, a law's rounds being units of time. No constant regret is claimed for latency.

    Examples
    --------
    Nothing else is to come under arrival model 1: the short request is admitted first.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=8), arrival=[0, 0], prompt=[4, 4], output=[4, 2])
    >>> schedule = simulate_continuous(instance, Bayes(law="arrival-model-1", samples=1))
    >>> [batch.prefill for batch in schedule.batches][:3]
    [((1, 4),), (), ((0, 4),)]

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, §3; docs/coupling.md.
    """

    samples: int = 7
    effort: int = 60

    model: ClassVar[str] = "continuous"
    summary: ClassVar[str] = "hindsight schedules of sampled futures vote on admissions"
    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS

    def session(self) -> BayesRun:
        """Return the policy for one run: it keeps the past, and its plans."""
        return BayesRun(self)


class BayesRun(VotingSession[ContinuousObservation, ContinuousDecision, Sampled, Plan]):
    """One run of `Bayes`; its parameters are those of `BayesSession`."""

    model: ClassVar[str] = Bayes.model
    summary: ClassVar[str] = Bayes.summary
    length_kinds: ClassVar[tuple[str, ...]] = Bayes.length_kinds

    def __init__(self, policy: Bayes, law: Law | None = None) -> None:
        super().__init__(policy, law)
        self._history = History()
        self._past = Past(0, 0, ())
        self._turn = 0
        self._voted: frozenset[tuple[int, bool]] = frozenset()

    def without_vote(self, observation: ContinuousObservation) -> ContinuousDecision | None:
        """Serve what runs where nothing may be admitted or nothing has changed."""
        gpu, here = observation.limits, (*observation.running, *observation.waiting)
        self._past = self._history.look(observation.time, gpu.blocks * gpu.block, here)
        now = frozenset(
            [(view.index, False) for view in observation.waiting]
            + [(view.index, True) for view in observation.running]
        )
        builder = _builder(observation, [])
        served = builder.build()
        waits = observation.waiting and len(observation.running) < observation.limits.running
        if now == self._voted or not waits or served.preempt or builder.full:
            return served
        self._voted = now
        self.plans[self._turn] = None
        self._turn = (self._turn + 1) % len(self.plans)
        return None

    def solved(
        self,
        observation: ContinuousObservation,
        plan: Plan | None,
        rng: np.random.Generator,
        stream: Stream,
    ) -> Sampled:
        """Draw a future, or keep that of a plan, and solve it, from the plan where there is one."""
        from ..hindsight import make_world

        gpu = observation.limits
        future = plan.future if plan else self._future(observation, rng)
        views = (*observation.waiting, *observation.running)
        kv = gpu.blocks * gpu.block
        drawn = [
            max(
                view.tokens + 1,
                min(
                    draw_length(view, view.tokens, self.law, self._past, rng), kv - view.prompt + 1
                ),
            )
            for view in views
        ]
        world = make_world(observation, drawn, future)
        if plan is None:
            world.try_lists(None, gpu.running)
        else:
            world.try_lists(_planned(world, plan), plan.most, plan.wave)
        world.solve(self.effort, 0, stream)
        return Sampled(future, world)

    def vote(
        self, observation: ContinuousObservation, worlds: list[Sampled], stream: Stream
    ) -> ContinuousDecision:
        """Elect the requests that are admitted."""
        waiting = {view.index: view for view in observation.waiting}
        if _is_certain(observation, worlds):
            best = min((sampled.world for sampled in worlds), key=lambda world: world.cost)
            chosen = best.admitted()
            if chosen or observation.running:
                for sampled in worlds:
                    sampled.world.commit(chosen, 0, stream)
                return _builder(observation, [waiting[i] for i in chosen]).build()
        firsts = [sampled.world.admitted() for sampled in worlds]

        def ballots(chosen: list[int]) -> list[list[int]]:
            return [[i for i in first if i in waiting and i not in chosen] for first in firsts]

        def commit(chosen: list[int]) -> None:
            for sampled in worlds:
                sampled.world.commit(chosen, self.effort, stream)
            firsts[:] = [sampled.world.admitted() for sampled in worlds]

        chosen = elected(ballots, commit, at_least_one=not observation.running)
        return _builder(observation, [waiting[i] for i in chosen]).build()

    def plan(
        self, observation: ContinuousObservation, world: Sampled, decision: ContinuousDecision
    ) -> Plan:
        """Return the world's schedule as it goes on after the decision."""
        made = world.world
        return Plan(world.future, tuple(made.names[made.order].tolist()), made.most, made.wave)

    def _future(self, observation: ContinuousObservation, rng: np.random.Generator) -> Future:
        """Draw a future; drop requests that could never run, and the last of many."""
        gpu = observation.limits
        future = self.law.draw(self._past, rng)
        fits = future.prompt + future.output - 1 <= gpu.blocks * gpu.block
        if not gpu.chunked:
            fits &= future.prompt <= gpu.tokens
        kept = np.flatnonzero(fits)[:MOST_TO_COME]
        return Future(future.arrival[kept], future.prompt[kept], future.output[kept])


def _is_certain(observation: ContinuousObservation, worlds: list[Sampled]) -> bool:
    """Whether all lengths are told, and no request is to come in any future."""
    here = (*observation.waiting, *observation.running)
    told = all(view.shortest is not None and view.shortest == view.longest for view in here)
    return told and all((sampled.world.names >= 0).all() for sampled in worlds)


def _builder(observation: ContinuousObservation, chosen: list[ContinuousView]) -> BatchBuilder:
    """A batch of all that runs, and of the chosen as far as they fit."""
    gpu = observation.limits
    told = all(view.longest is not None for view in (*observation.running, *chosen))
    rule = rule_of(gpu)._replace(reserve=PLAN if told else CHUNK)
    running = [(view, view.longest or 0) for view in observation.running]
    return BatchBuilder(gpu, rule, running, [(view, view.longest or 0) for view in chosen])


def _planned(world: World, plan: Plan) -> IntArray:
    """Return the order of a plan; who has no place in it takes one by arrival."""
    from ...coupling.plans import merged_order

    place = {name: at for at, name in enumerate(plan.order)}
    who = world.order
    places = np.array([place.get(name, -1) for name in world.names[who].tolist()], np.int64)
    by_arrival = np.argsort(world.scene.arrival[who], kind="stable")
    return who[merged_order(by_arrival, places)]
