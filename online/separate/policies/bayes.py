"""The Bayes selector for latency under separate batching: hindsight schedules vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ....models.instance import IntArray
from ...coupling.bayes_policy import BayesPolicy, BayesSession
from ...coupling.bayes_selector import elected, most_wanted
from ...coupling.futures import Future, Law, draw_length
from ...coupling.history import History, Past
from ...lengths import PLANNING_KINDS
from ..decision import BatchDecision
from ..observation import SeparateObservation, SeparateView
from ..safety import all_can_finish
from ..serving import serve, tokens_left

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ....solvers.random_stream import Stream
    from ....solvers.separate.search.encoding import Encoding
    from ..hindsight import First, World

#: Drawn futures are cut off after this many arrivals: what comes later hardly matters now.
MOST_TO_COME = 30


class Plan(NamedTuple):
    """A schedule of what is left in a future.

    Attributes
    ----------
    future : Future
        Who is to come in it, as it was drawn.
    names : ndarray of int64, shape (n,)
        Who the code's requests are: their index, or −1 − j for the j-th of the future.
    code : Encoding
        The schedule.
    """

    future: Future
    names: IntArray
    code: Encoding

    def after(self, decision: BatchDecision) -> Plan:
        """Return what is left of it when a decision is carried out."""
        if decision.kind is None:
            return self
        from ....solvers.separate.search.list_encodings import after_batch

        members = np.flatnonzero(np.isin(self.names, decision.requests))
        return self._replace(code=after_batch(self.code, decision.kind, members.tolist()))


class Scene(NamedTuple):
    """A world, the future that it is of, and who its requests are (see `Plan`)."""

    future: Future
    names: IntArray
    world: World

    def plan(self) -> Plan:
        """Return the world's schedule as a plan."""
        return Plan(self.future, self.names, self.world.code)

    def code_of(self, plan: Plan) -> Encoding:
        """Return a plan's code; who has no place in its order takes one by arrival."""
        from ....solvers.separate.search.encoding import Encoding
        from ...coupling.plans import merged_order

        who, machine = self.world.without_kv, self.world.machine
        place = {name: at for at, name in enumerate(plan.names[plan.code.order].tolist())}
        column = {name: at for at, name in enumerate(plan.names.tolist())}
        there = np.array([column.get(name, -1) for name in self.names.tolist()])
        places = np.array([place.get(name, -1) for name in self.names[who].tolist()], np.int64)
        by_arrival = np.argsort(machine.arrival[who], kind="stable")
        return Encoding(
            who[merged_order(by_arrival, places)],
            _fitted(plan.code.wait, who.size, 0),
            _fitted(plan.code.least, who.size, 1),
            _fitted(plan.code.most, who.size, machine.arrival.size),
            *(np.where(there >= 0, each[there], 0) for each in (plan.code.urgency, plan.code.firm)),
        )


@dataclass(frozen=True, slots=True)
class Bayes(BayesPolicy[SeparateObservation, BatchDecision]):
    """Do next what most hindsight schedules of sampled futures do next.

    At each boundary at which a waiting request could be admitted, each of `samples` futures gets a
    hindsight schedule (annealing of `effort` steps). Futures and schedules are kept from decision
    to decision, less what has not come true, and one of them is drawn anew each time, in turn. The
    schedules vote first on the kind of batch: prompt, token, or to wait for an arrival. If prompts
    win, the members of the batch are elected in turn (`bayes_selector.elected`). A token batch
    serves the requests that most of them serve. Whatever they say, the batch leaves all running
    requests a way to finish (`safety.all_can_finish`); the GPU is never left idle twice in a row
    without an arrival. The options are those of `BayesPolicy`, a law's rounds being units of time;
    lengths may be "exact", "predicted" or "interval", and never too short.

    Examples
    --------
    The prompt batch takes 3: with the second it would delay the first by as much.

    >>> from batchprophet.models.batch_time import ConstantTime
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(kv_capacity=40, batch_time=ConstantTime(prompt=3, token=1))
    >>> instance = Instance(gpu=gpu, arrival=[0, 1], prompt=[3, 2], output=[2, 2])
    >>> schedule = simulate_separate(instance, Bayes(samples=1, effort=100))
    >>> [(batch.kind, batch.requests) for batch in schedule.batches]
    [('prompt', (0,)), ('token', (0,)), ('prompt', (1,)), ('token', (1,))]

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, §3; docs/coupling.md.
    """

    samples: int = 9
    effort: int = 2000

    model: ClassVar[str] = "separate"
    summary: ClassVar[str] = "hindsight schedules of sampled futures vote on the next batch"
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS

    def session(self) -> BayesRun:
        """Return the policy for one run: it keeps the past, and its plans."""
        return BayesRun(self)


class BayesRun(BayesSession[SeparateObservation, BatchDecision, Scene, Plan]):
    """One run of `Bayes`; its parameters are those of `BayesSession`."""

    model: ClassVar[str] = Bayes.model
    summary: ClassVar[str] = Bayes.summary
    length_kinds: ClassVar[tuple[str, ...]] = Bayes.length_kinds

    def __init__(self, policy: Bayes, law: Law | None = None) -> None:
        super().__init__(policy, law)
        self._history = History()
        self._past = Past(0, 0, ())
        self._turn = 0
        self._idled_with = 0

    def without_vote(self, observation: SeparateObservation) -> BatchDecision | None:
        """Serve where no waiting request may be admitted; else prepare to draw one future anew."""
        here = (*observation.running, *observation.waiting)
        self._past = self._history.look(observation.time, observation.gpu.kv_capacity, here)
        if not any(_may_join(observation, [], view) for view in observation.waiting):
            decision = serve(observation, tokens_left)
            self.plans = [plan and plan.after(decision) for plan in self.plans]
            return decision
        self.plans[self._turn] = None
        self._turn = (self._turn + 1) % len(self.plans)
        return None

    def solved(
        self,
        observation: SeparateObservation,
        plan: Plan | None,
        rng: np.random.Generator,
        stream: Stream,
    ) -> Scene:
        """Draw a future, or keep that of a plan, and solve it, from the plan where there is one."""
        from ....solvers.separate.search.list_encodings import first_encodings
        from ..hindsight import REHEAT

        future = plan.future if plan else _possible(self.law.draw(self._past, rng), observation)
        scene = _unsolved(observation, future, self.law, self._past, rng)
        world = scene.world
        codes = first_encodings(world.machine, world.without_kv, observation.time)
        world.try_codes(code for _, code in codes)
        if plan:
            world.try_codes([scene.code_of(plan)])
        world.solve(self.effort, REHEAT if plan else 1.0, stream)
        return scene

    def vote(
        self, observation: SeparateObservation, worlds: list[Scene], stream: Stream
    ) -> BatchDecision:
        """Vote on the kind of batch, then on its members."""
        now, arrived = observation.time, len(self._past.arrived)
        firsts = [scene.world.first() for scene in worlds]
        kinds = [_kind(first, now) for first in firsts]
        possible = {"prompt": True, "token": bool(observation.running)}
        possible["wait"] = self._idled_with < arrived
        kind = most_wanted(filter(possible.get, possible), [[each] for each in kinds])
        if kind == "wait":
            self._idled_with = arrived
            return BatchDecision(wake_at=min(f.start for f in firsts if f.start > now))
        if kind == "prompt" and ("prompt" in kinds or not observation.running):
            chosen = self._members(observation, [s.world for s in worlds], firsts, stream)
            if chosen:
                return BatchDecision("prompt", tuple(observation.waiting[i].index for i in chosen))
        return _token_batch(observation, firsts)

    def _members(
        self,
        observation: SeparateObservation,
        worlds: list[World],
        firsts: list[First],
        stream: Stream,
    ) -> list[int]:
        """Elect the requests of the prompt batch, by position among the waiting."""

        def ballots(chosen: list[int]) -> list[list[int]]:
            return _ballots(observation, worlds, firsts, chosen)

        def commit(chosen: list[int]) -> None:
            for world, first in zip(worlds, firsts, strict=True):
                world.commit(chosen, first, self.effort, stream)
            firsts[:] = [world.first() for world in worlds]

        return elected(ballots, commit, at_least_one=True)

    def plan(self, observation: SeparateObservation, world: Scene, decision: BatchDecision) -> Plan:
        """Return the world's schedule as it goes on after the decision."""
        return world.plan().after(decision)


def _ballots(
    observation: SeparateObservation, worlds: list[World], firsts: list[First], chosen: list[int]
) -> list[list[int]]:
    """Which requests each world wants in a prompt batch now besides those chosen.

    If nothing runs and no world wants a prompt batch now, each wants the first in its order.
    """
    waiting = observation.waiting
    batch = [waiting[i] for i in chosen]

    def possible(members: Iterable[int]) -> list[int]:
        here = (i for i in members if i < len(waiting) and i not in chosen)
        return [i for i in here if _may_join(observation, batch, waiting[i])]

    now = observation.time
    wanted = [possible(f.members) if _kind(f, now) == "prompt" else [] for f in firsts]
    if any(wanted) or observation.running or chosen:
        return wanted
    return [possible(world.code.order.tolist())[:1] for world in worlds]


def _token_batch(observation: SeparateObservation, firsts: list[First]) -> BatchDecision:
    """Serve those that most schedules serve, of equals those with the least to go."""
    before = len(observation.waiting)
    place = {view.index: before + position for position, view in enumerate(observation.running)}
    votes = Counter(i for first in firsts if first.kind == "token" for i in first.members)
    longest = observation.gpu.kv_capacity
    return serve(observation, lambda view: view.remaining - longest * votes[place[view.index]])


def _kind(first: First, now: int) -> str:
    return first.kind if first.start == now else "wait"


def _may_join(
    observation: SeparateObservation, batch: list[SeparateView], view: SeparateView
) -> bool:
    """Whether a prompt batch may hold a request beside others, by what is told of lengths."""
    gpu, members = observation.gpu, [*batch, view]
    if len(members) > (gpu.prompt_batch_requests or len(members)):
        return False
    tokens = sum(each.prompt for each in members)
    if tokens > (gpu.prompt_batch_tokens or tokens):
        return False
    if observation.kv_use + tokens + len(members) > gpu.kv_capacity:
        return False
    state = [(each.held, each.remaining) for each in observation.running]
    state += [(each.prompt + 1, each.planned - 1) for each in members if each.planned > 1]
    return all_can_finish(state, gpu.kv_capacity)


def _possible(future: Future, observation: SeparateObservation) -> Future:
    """Drop who could never run, and who comes last of many."""
    gpu = observation.gpu
    fits = future.prompt + future.output <= gpu.kv_capacity
    if gpu.prompt_batch_tokens is not None:
        fits &= future.prompt <= gpu.prompt_batch_tokens
    kept = np.flatnonzero(fits)[:MOST_TO_COME]
    return Future(future.arrival[kept], future.prompt[kept], future.output[kept])


def _unsolved(
    observation: SeparateObservation,
    future: Future,
    law: Law,
    past: Past,
    rng: np.random.Generator,
) -> Scene:
    """A world of what waits, runs and is to come, without a schedule yet."""
    from ....solvers.separate.compiled_instance import Machine
    from ..hindsight import in_order, make_world

    here = (*observation.waiting, *observation.running)
    to_come = np.flatnonzero(future.arrival > observation.time)
    drawn = [draw_length(view, view.tokens, law, past, rng) for view in here]
    columns = (
        [view.arrival for view in here],
        [view.prompt for view in here],
        drawn,
    )
    arrival, prompt, output = (
        np.concatenate((np.array(column, np.int64), drawn[to_come]))
        for column, drawn in zip(columns, future, strict=True)
    )
    gpu, n = observation.gpu, arrival.size
    machine = Machine(
        arrival=arrival,
        prompt=prompt,
        output=output,
        B_P=min(gpu.prompt_batch_requests or n, n),
        C_P=gpu.prompt_batch_tokens or int(prompt.sum()),
        B_D=min(gpu.token_batch_requests or n, n),
        M=gpu.kv_capacity,
        law=observation.law,
    )
    run = np.arange(len(observation.waiting), len(here))
    tokens = np.array([view.tokens for view in observation.running], np.int64)
    running = in_order(run, output[run] - tokens, prompt[run] + tokens)
    names = np.append([view.index for view in here], -1 - to_come).astype(np.int64)
    return Scene(future, names, make_world(machine, running, observation.time))


def _fitted(column: IntArray, size: int, more: int) -> IntArray:
    """A column cut to a size, or filled up."""
    filled = np.full(size, more, np.int64)
    filled[: column.size] = column[:size]
    return filled
