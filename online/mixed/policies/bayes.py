"""The Bayes selector for latency: what to start now, over all sampled futures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ....models.instance import IntArray
from ...coupling.bayes_policy import BayesPolicy
from ...coupling.comparison import ComparingSession
from ...coupling.futures import Future, draw_length
from ...coupling.history import Past
from ...coupling.plans import merged_order, names_now
from ...lengths import LENGTH_KINDS
from ..decision import Decision
from ..observation import Observation, RequestView
from ..scanning import evict_latest, volume

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ....solvers.random_stream import Stream
    from ..hindsight import World

#: Index, release, prompt, output of the requests of a world, shape (m,) each.
Columns = tuple[IntArray, IntArray, IntArray, IntArray]


class Plan(NamedTuple):
    """A schedule of what is left in a future.

    Attributes
    ----------
    future : Future
        Who is to come in it, as it was drawn.
    names : ndarray of int64, shape (m,)
        Who has not started: indices, and −1 − j for the j-th of the future.
    start : ndarray of int64, shape (m,)
        When they start.
    """

    future: Future
    names: IntArray
    start: IntArray


@dataclass(frozen=True, slots=True)
class Bayes(BayesPolicy[Observation, Decision]):
    """Start what is best over hindsight schedules of sampled futures.

    At each round boundary at which a waiting request fits, each of `samples` futures has a
    hindsight schedule (annealing of `effort` / 2 steps, from the schedule of the last decision).
    What these start now is compared: each set of requests is started in every future, the others
    are annealed from there on (`effort` / 2 steps in all), and the set of the least mean latency is
    started (`coupling.comparison`). Futures are kept from decision to decision, and one of them is
    drawn anew each time, in turn. The options are those of `BayesPolicy`; lengths may be "exact",
    "predicted", "interval" or "none".

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

    summary: ClassVar[str] = "what costs least over hindsight schedules of sampled futures"
    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS
    remembers: ClassVar[bool] = True

    def session(self) -> BayesRun:
        """Return the policy for one run: it keeps its plans from decision to decision."""
        return BayesRun(self)


@dataclass(slots=True)
class Scene:
    """A world, the future that it is of, and when it is.

    Attributes
    ----------
    future : Future
        Who is to come in it, as it was drawn.
    world : World
        Who waits and who is to come, with a schedule.
    time : int
        Time 0 of the world.
    heat : float
        Where annealing begins, as a share of that from list schedules.
    """

    future: Future
    world: World
    time: int
    heat: float

    @property
    def cost(self) -> int:
        """Sum of the starts."""
        return self.world.cost

    def key(self) -> tuple[bytes, ...]:
        """Return what is equal for equal futures of the same moment."""
        world = self.world
        columns = (world.release, world.prompt, world.output, world.fixed)
        return tuple(column.tobytes() for column in columns)

    def solve(self, steps: int, stream: Stream) -> None:
        """Improve the schedule by annealing."""
        if steps > 0 and self.world.who.size > 1:
            self.world.improve(steps, self.heat, stream)

    def after(self, decision: Decision) -> Scene:
        """Return the scene when requests have started."""
        from ....solvers.random_stream import random_stream
        from ..hindsight import REHEAT

        world = self.world.after(decision.start, random_stream(0))
        return Scene(self.future, world, self.time, REHEAT)


class BayesRun(ComparingSession[Observation, Decision, Scene, Plan]):
    """One run of `Bayes`."""

    summary: ClassVar[str] = Bayes.summary
    length_kinds: ClassVar[tuple[str, ...]] = Bayes.length_kinds

    def without_vote(self, observation: Observation) -> Decision | None:
        """Evict on overflow; start nothing where nothing fits."""
        if observation.overflows:
            return evict_latest(observation)
        if not any(_fits_next_round(observation, view, 0) for view in observation.waiting):
            return Decision()
        return None

    def drawn(
        self,
        observation: Observation,
        plan: Plan | None,
        *,
        anew: bool,
        rng: np.random.Generator,
    ) -> Scene:
        """Return a future with the schedule of the plan, or the one that starts smallest first."""
        from ....solvers.random_stream import random_stream
        from ..hindsight import REHEAT, World, first_order

        t, waiting = observation.time, observation.waiting
        past = Past(t, observation.kv_capacity, observation.arrived)
        future = self.law.draw(past, rng) if plan is None or anew else plan.future
        (to_come,) = np.nonzero(future.arrival > t)
        lengths = [draw_length(view, 0, self.law, past, rng) for view in waiting]
        columns = (
            _column([view.index for view in waiting], -1 - to_come),
            _column([0] * len(waiting), future.arrival[to_come] - t),
            _column([view.prompt for view in waiting], future.prompt[to_come]),
            _column(lengths, future.output[to_come]),
        )
        runs = []  # KV tokens that each running request holds now, and the rounds that are left
        for view in observation.running:
            tokens = view.size(t) - view.prompt
            left = draw_length(view, tokens, self.law, past, rng) - tokens
            runs.append((view.size(t), left))
        order = first_order(*columns[1:])
        if plan is not None:
            known = names_now(
                plan.names.tolist(),
                plan.future,
                {v.index: (v.arrival, v.prompt, o) for v, o in zip(waiting, lengths, strict=True)},
                t,
                None if future is plan.future else (-1 - to_come).tolist(),
            )
            start = dict(zip(known, plan.start.tolist(), strict=True))
            planned = np.array([start.get(name, -1) for name in columns[0].tolist()], np.int64)
            order = merged_order(order, planned)
        columns = _closer(columns, runs)
        fixed = _held(runs, observation.kv_capacity, *columns[1:])
        world = World(*columns, fixed, observation.kv_capacity, np.zeros(0, np.int64))
        world.solve(order, 0, 0.0, random_stream(0))
        return Scene(future, world, t, 1.0 if plan is None or anew else REHEAT)

    def votes(self, observation: Observation, worlds: Sequence[Scene]) -> Counter[Decision]:
        """Return what the schedules start now, as far as it fits; at least one if nothing runs."""
        waiting = {view.index: view for view in observation.waiting}
        found: Counter[Decision] = Counter()
        for world in sorted((scene.world for scene in worlds), key=lambda world: world.cost):
            world.in_index_order()
            held, chosen = 0, []
            for i in world.starts_now().tolist():
                if _fits_next_round(observation, waiting[i], held):
                    held += waiting[i].prompt + 1
                    chosen.append(i)
            if not chosen and not observation.running:
                chosen = [world.first_to_start()]
            found[Decision(start=tuple(sorted(chosen)))] += 1
        return found

    def plan(self, observation: Observation, world: Scene) -> Plan:
        """Return when the requests that have not started do in a world."""
        return Plan(world.future, world.world.who, world.time + world.world.start)


def _column(here: list[int], to_come: IntArray) -> IntArray:
    return np.concatenate((np.array(here, np.int64), to_come))


def _fits_next_round(observation: Observation, view: RequestView, held: int) -> bool:
    """Whether round t + 1 has room for a start beside what runs and `held` tokens more."""
    room = observation.kv_capacity - observation.kv_next_round - held
    return view.prompt + 1 <= room


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
    area = int(volume(prompt, output).sum())
    longest = max([int(output.max()), *(left for _, left in runs)])
    last = int(release.max()) + 2 * longest + 3 * area // M
    fixed = np.zeros(last + 1, np.int64)
    for size, left in runs:
        fixed[1 : left + 1] += size + np.arange(1, left + 1)
    return fixed
