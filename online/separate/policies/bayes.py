"""The Bayes selector for latency under separate batching: what to do next, over all futures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ....models.instance import IntArray
from ...coupling.bayes_policy import BayesPolicy
from ...coupling.comparison import ComparingSession
from ...coupling.futures import Future, Law, draw_length
from ...coupling.history import History, Past
from ...coupling.plans import merged_order, names_now
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


@dataclass(slots=True)
class Scene:
    """A world, the future that it is of, and who its requests are (see `Plan`).

    Attributes
    ----------
    future : Future
        Who is to come in it, as it was drawn.
    names : ndarray of int64, shape (n,)
        Who the world's requests are.
    world : World
        The moment with its schedule.
    heat : float
        Where annealing begins, as a share of that from list schedules.
    spare : Encoding, optional
        A schedule that is taken if annealing finds none that is better.
    """

    future: Future
    names: IntArray
    world: World
    heat: float
    spare: Encoding | None = None

    @property
    def cost(self) -> int:
        """Latencies of all requests, from now on."""
        return self.world.cost

    def key(self) -> tuple[bytes, ...]:
        """Return what is equal for equal futures of the same moment."""
        machine = self.world.machine
        return tuple(
            column.tobytes() for column in (machine.arrival, machine.prompt, machine.output)
        )

    def solve(self, steps: int, stream: Stream) -> None:
        """Improve the schedule by annealing."""
        self.world.solve(steps, self.heat, stream)
        if self.spare is not None:
            self.world.try_codes([self.spare])

    def after(self, decision: BatchDecision) -> Scene:
        """Return the scene when a decision has been carried out."""
        from ..hindsight import REHEAT

        if decision.kind is None:
            assert decision.wake_at is not None  # it waits for a request of some future
            world = self.world.idle(decision.wake_at)
        else:
            members = np.flatnonzero(np.isin(self.names, decision.requests))
            world = self.world.after(decision.kind, members.tolist())
        return Scene(self.future, self.names, world, REHEAT)

    def plan(self) -> Plan:
        """Return the world's schedule as a plan."""
        return Plan(self.future, self.names, self.world.code)

    def code_of(self, plan: Plan) -> Encoding:
        """Return a plan's code; who has no place in its order takes one by arrival.

        Who has come takes the place of one that was to come by now (`names_now`).
        """
        from ....solvers.separate.search.encoding import Encoding
        from ..hindsight import fitted

        machine = self.world.machine
        known = self._known(plan)
        column = {name: at for at, name in enumerate(known)}
        at = np.array([column.get(name, -1) for name in self.names.tolist()], np.int64)
        place = np.full(plan.names.size, -1, np.int64)
        place[plan.code.order] = np.arange(plan.code.order.size)
        places, who = np.where(at >= 0, place[at], -1), self.world.code.order
        by_arrival = who[np.argsort(machine.arrival[who], kind="stable")]
        return Encoding(
            merged_order(by_arrival, places),
            fitted(plan.code.wait, who.size, 0),
            fitted(plan.code.least, who.size, 1),
            fitted(plan.code.most, who.size, machine.arrival.size),
            *(np.where(at >= 0, each[at], 0) for each in (plan.code.urgency, plan.code.firm)),
        )

    def _known(self, plan: Plan) -> list[int]:
        """Who a plan's requests are here."""
        machine, to_come = self.world.machine, self.names[self.names < 0].tolist()
        columns = (self.names, machine.arrival, machine.prompt, machine.output)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return names_now(
            plan.names.tolist(),
            plan.future,
            {name: (a, s, o) for name, a, s, o in rows if name >= 0},
            self.world.begin.now,
            None if plan.future is self.future else to_come,
        )


@dataclass(frozen=True, slots=True)
class Bayes(BayesPolicy[SeparateObservation, BatchDecision]):
    """Do next what is best over hindsight schedules of sampled futures.

    At each boundary at which a waiting request could be admitted, or more run than a token batch
    serves, each of `samples` futures gets a hindsight schedule (annealing of `effort` / 2 steps).
    What these do next is compared: a prompt batch with its members, a token batch with its members,
    or to wait for an arrival. Each is carried out in every future, the rest is annealed from there
    on (`effort` / 2 steps in all), and the one of the least mean latency is done
    (`coupling.comparison`). Futures and schedules are kept from decision to decision, less what has
    not come true, and one of them is drawn anew each time, in turn. If the future is certain, the
    best schedule so far is followed to its end, or left for a better one. Whatever they say, the
    batch leaves all running requests a way to finish (`safety.all_can_finish`); the GPU is never
    left idle twice in a row without an arrival. The options are those of `BayesPolicy`, a law's
    rounds being units of time;
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

    samples: int = 18
    effort: int = 1000

    model: ClassVar[str] = "separate"
    summary: ClassVar[str] = (
        "the next batch that costs least over hindsight schedules of sampled futures"
    )
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS

    def session(self) -> BayesRun:
        """Return the policy for one run: it keeps the past, and its plans."""
        return BayesRun(self)


class BayesRun(ComparingSession[SeparateObservation, BatchDecision, Scene, Plan]):
    """One run of `Bayes`; its parameters are those of `BayesSession`."""

    model: ClassVar[str] = Bayes.model
    summary: ClassVar[str] = Bayes.summary
    length_kinds: ClassVar[tuple[str, ...]] = Bayes.length_kinds

    def __init__(self, policy: Bayes, law: Law | None = None) -> None:
        super().__init__(policy, law)
        self._history = History()
        self._past = Past(0, 0, ())
        self._idled_with = 0

    def without_vote(self, observation: SeparateObservation) -> BatchDecision | None:
        """Serve where there is no choice."""
        here = (*observation.running, *observation.waiting)
        self._past = self._history.look(observation.time, observation.gpu.kv_capacity, here)
        if _is_choice(observation):
            return None
        decision = serve(observation, tokens_left)
        self.plans = [plan and plan.after(decision) for plan in self.plans]
        return decision

    def drawn(
        self,
        observation: SeparateObservation,
        plan: Plan | None,
        *,
        anew: bool,
        rng: np.random.Generator,
    ) -> Scene:
        """Return a future with the schedule of the plan; one that is new also tries all lists."""
        from ....solvers.separate.search.list_encodings import first_encodings
        from ..hindsight import REHEAT

        if plan is None or anew:
            future = _possible(self.law.draw(self._past, rng), observation)
        else:
            future = plan.future
        scene = _unsolved(observation, future, self.law, self._past, rng)
        world = scene.world
        if anew:
            codes = first_encodings(world.machine, world.code.order, observation.time)
            world.try_codes(code for _, code in codes)
        if plan is None:
            return scene
        if anew:
            scene.spare = scene.code_of(plan)
        else:
            world.try_codes([scene.code_of(plan)])
            scene.heat = REHEAT
        return scene

    def votes(
        self, observation: SeparateObservation, worlds: Sequence[Scene]
    ) -> Counter[BatchDecision]:
        """Return the first batches of the schedules, as far as they are allowed."""
        now, found = observation.time, Counter[BatchDecision]()
        ordered = sorted(worlds, key=lambda scene: scene.cost)
        firsts = [scene.world.first() for scene in ordered]
        wake_at = min((first.start for first in firsts if first.start > now), default=None)
        may_wait = self._idled_with < len(self._past.arrived)
        for first in firsts:
            decision = _allowed(observation, first)
            if first.start > now:
                decision = BatchDecision(wake_at=wake_at) if may_wait else None
            if decision is not None:
                found[decision] += 1
        if not found:
            found[_simplest(observation)] += 1
        return found

    def plan(self, observation: SeparateObservation, world: Scene) -> Plan:
        """Return the world's schedule as it goes on after the decision."""
        return world.plan()

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Decide as all sessions do, and note with how many arrivals the GPU idles."""
        decision = super().decide(observation, rng)
        if decision.kind is None:
            self._idled_with = len(self._past.arrived)
        return decision


def _is_choice(observation: SeparateObservation) -> bool:
    """Whether a prompt batch is possible, or more requests run than a token batch serves."""
    served = observation.gpu.token_batch_requests
    if served is not None and len(observation.running) > served:
        return True
    return any(_may_join(observation, [], view) for view in observation.waiting)


def _allowed(observation: SeparateObservation, first: First) -> BatchDecision | None:
    """Return a schedule's first batch, less the prompts that may not join; None if none may."""
    waiting = observation.waiting
    if first.kind == "prompt":
        batch: list[SeparateView] = []
        for i in first.members:
            if i < len(waiting) and _may_join(observation, batch, waiting[i]):
                batch.append(waiting[i])
        members = tuple(sorted(view.index for view in batch))
        return BatchDecision("prompt", members) if members else None
    served = {observation.running[i - len(waiting)].index for i in first.members}
    longest = observation.gpu.kv_capacity
    return serve(observation, lambda view: view.remaining - longest * (view.index in served))


def _simplest(observation: SeparateObservation) -> BatchDecision:
    """A token batch if one is possible, or the prompt of one request."""
    if observation.running:
        return serve(observation, tokens_left)
    waiting = observation.waiting
    view = next(view for view in waiting if _may_join(observation, [], view))
    return BatchDecision("prompt", (view.index,))


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
    return Scene(future, names, make_world(machine, running, observation.time), 1.0)
