"""The Bayes selector for latency under separate batching: hindsight schedules vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ....models.errors import InputError
from ....models.instance import IntArray
from ...coupling.futures import LAWS, Future, Law
from ...coupling.history import Past
from ...lengths import PLANNING_KINDS, require_lengths
from ...options import require_integer
from ..decision import BatchDecision
from ..history import History
from ..observation import SeparateObservation, SeparateView
from ..safety import all_can_finish
from ..serving import serve

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ....solvers.random_stream import Stream
    from ....solvers.separate.search.encoding import Encoding
    from ..hindsight import First, World

#: Drawn futures are cut off after so many arrivals: what comes later hardly matters now.
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
class Bayes:
    """Do next what most hindsight schedules of sampled futures do next.

    At each boundary at which a waiting request could be admitted, each of `samples` futures, drawn
    from the law given what has arrived, gets a hindsight schedule of all that runs, waits and is to
    come (annealing of `effort` steps). Futures and schedules are kept from decision to decision,
    less what has not come true, and one of them is drawn anew each time, in turn. The schedules
    vote first on the kind of batch: prompt, token, or to wait for somebody. If prompts win, the
    request that most of them have in that batch is put there, the other schedules are made to
    agree, and they vote on another while at least half of them want one. A token batch serves those
    that most of them serve. Whatever they say, the batch leaves all a way to finish
    (`safety.all_can_finish`); the GPU is never left idle twice in a row without an arrival.

    No constant regret is claimed for latency.

    Parameters
    ----------
    law : {"past", "arrival-model-1", "arrival-model-2"}
        What futures are drawn from: an estimate from what has arrived, or a published law, whose
        rounds are then units of time.
    samples : int
        K ≥ 1 futures per decision.
    effort : int
        Annealing steps per future, ≥ 0.
    lengths : {"exact", "predicted", "interval"}
        What is known of output lengths; within an interval they are drawn. Never too short, or the
        simulation is refused.
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.

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

    law: str = "past"
    samples: int = 9
    effort: int = 2000
    lengths: str = "exact"
    error: float | None = None

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "bayes"
    summary: ClassVar[str] = "hindsight schedules of sampled futures vote on the next batch"
    source: ClassVar[str] = "arXiv 1901.05028 (Bayes selector), with sampled hindsight"
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError(f"law: expected one of {', '.join(LAWS)}; found {self.law!r}")
        require_integer("samples", self.samples, low=1)
        require_integer("effort", self.effort, low=0)
        require_lengths(self.length_kinds, self.lengths, self.error)

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Decide once, without a past and without plans from before."""
        return self.session().decide(observation, rng)

    def session(self) -> BayesRun:
        """Return the policy for one run: it keeps the past, and its plans."""
        return BayesRun(self)


class BayesRun:
    """One run of `Bayes`: the schedules that it keeps are where the next annealings begin.

    Parameters
    ----------
    policy : Bayes
        Its options.
    law : Law, optional
        What futures are drawn from, instead of the law that the options name.
    """

    model: ClassVar[str] = Bayes.model
    name: ClassVar[str] = Bayes.name
    summary: ClassVar[str] = Bayes.summary
    source: ClassVar[str] = Bayes.source
    length_kinds: ClassVar[tuple[str, ...]] = Bayes.length_kinds

    def __init__(self, policy: Bayes, law: Law | None = None) -> None:
        self.policy = policy
        self._law = LAWS[policy.law] if law is None else law
        self._history = History()
        self._plans: list[Plan | None] = [None] * policy.samples
        self._turn = 0
        self._idled_with = 0

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Draw futures and let their hindsight schedules vote."""
        from ....solvers.random_stream import random_stream

        past = self._history.look(observation)
        if not any(_may_join(observation, [], view) for view in observation.waiting):
            decision = serve(observation, _tokens_left)
            self._plans = [plan and plan.after(decision) for plan in self._plans]
            return decision
        self._plans[self._turn] = None
        self._turn = (self._turn + 1) % len(self._plans)
        stream = random_stream(int(rng.integers(2**63)))
        scenes = [self._scene(observation, past, plan, rng, stream) for plan in self._plans]
        worlds = [scene.world for scene in scenes]
        decision = self._vote(observation, worlds, len(past.arrived), stream)
        self._plans = [scene.plan().after(decision) for scene in scenes]
        return decision

    def _scene(
        self,
        observation: SeparateObservation,
        past: Past,
        plan: Plan | None,
        rng: np.random.Generator,
        stream: Stream,
    ) -> Scene:
        """Draw a future, or keep that of a plan, and solve it, from the plan where there is one."""
        from ....solvers.separate.search.list_encodings import first_encodings
        from ..hindsight import REHEAT

        future = plan.future if plan else _possible(self._law.draw(past, rng), observation)
        scene = _unsolved(observation, future, rng)
        world = scene.world
        codes = first_encodings(world.machine, world.without_kv, observation.time)
        world.try_codes(code for _, code in codes)
        if plan:
            world.try_codes([scene.code_of(plan)])
        world.solve(self.policy.effort, REHEAT if plan else 1.0, stream)
        return scene

    def _vote(
        self, observation: SeparateObservation, worlds: list[World], arrived: int, stream: Stream
    ) -> BatchDecision:
        """Vote on the kind of batch, then on its members."""
        now = observation.time
        firsts = [world.first() for world in worlds]
        votes = Counter(_kind(first, now) for first in firsts)
        possible = {"prompt": True, "token": bool(observation.running)}
        possible["wait"] = self._idled_with < arrived
        kind = max(filter(possible.get, possible), key=lambda kind: votes[kind])
        if kind == "wait":
            self._idled_with = arrived
            return BatchDecision(wake_at=min(f.start for f in firsts if f.start > now))
        if kind == "prompt" and (votes["prompt"] or not observation.running):
            chosen = self._members(observation, worlds, firsts, stream)
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
        """Choose whom the prompt batch holds, by position, while most worlds want one more."""
        chosen: list[int] = []
        while ballots := _ballots(observation, worlds, firsts, chosen):
            if chosen and 2 * len(ballots) < len(worlds):
                return chosen
            votes = Counter(i for ballot in ballots for i in ballot)
            chosen.append(min(votes, key=lambda i: (-votes[i], i)))
            for world, first in zip(worlds, firsts, strict=True):
                world.commit(chosen, first, self.policy.effort, stream)
            firsts = [world.first() for world in worlds]
        return chosen


def _ballots(
    observation: SeparateObservation, worlds: list[World], firsts: list[First], chosen: list[int]
) -> list[list[int]]:
    """Whom each world wants in a prompt batch now beside those chosen, where it wants anybody.

    If nothing runs and no world wants a prompt batch now, each wants the first in its order.
    """
    waiting = observation.waiting
    batch = [waiting[i] for i in chosen]

    def possible(members: Iterable[int]) -> list[int]:
        here = (i for i in members if i < len(waiting) and i not in chosen)
        return [i for i in here if _may_join(observation, batch, waiting[i])]

    now = observation.time
    wanted = [possible(first.members) for first in firsts if _kind(first, now) == "prompt"]
    if not any(wanted) and not observation.running and not chosen:
        wanted = [possible(world.code.order.tolist())[:1] for world in worlds]
    return [ballot for ballot in wanted if ballot]


def _token_batch(observation: SeparateObservation, firsts: list[First]) -> BatchDecision:
    """Serve those that most schedules serve, of equals those with the least to go."""
    before = len(observation.waiting)
    place = {view.index: before + position for position, view in enumerate(observation.running)}
    votes = Counter(i for first in firsts if first.kind == "token" for i in first.members)
    longest = observation.gpu.kv_capacity
    return serve(observation, lambda view: view.remaining - longest * votes[place[view.index]])


def _tokens_left(view: SeparateView) -> int:
    return view.remaining


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


def _unsolved(observation: SeparateObservation, future: Future, rng: np.random.Generator) -> Scene:
    """A world: who waits, who runs, who is to come; lengths as told, or drawn from what is told."""
    from ....solvers.separate.compiled_instance import Machine
    from ..hindsight import in_order, make_world

    here = (*observation.waiting, *observation.running)
    to_come = np.flatnonzero(future.arrival > observation.time)
    drawn = [int(rng.integers(_least(view), view.planned + 1)) for view in here]
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


def _least(view: SeparateView) -> int:
    """The least output length that is possible, in tokens."""
    assert view.shortest is not None, "every kind of lengths that it takes has ends"
    return min(max(view.shortest, view.tokens + 1), view.planned)


def _fitted(column: IntArray, size: int, more: int) -> IntArray:
    """A column cut to a size, or filled up."""
    filled = np.full(size, more, np.int64)
    filled[: column.size] = column[:size]
    return filled
