"""The Bayes selector for latency: hindsight schedules of sampled futures vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ....models.instance import IntArray
from ...coupling.bayes_policy import BayesPolicy, VotingSession
from ...coupling.bayes_selector import elected
from ...coupling.futures import Law, draw_length
from ...coupling.history import Past
from ...lengths import LENGTH_KINDS
from ..attained import Attained
from ..decision import Decision
from ..observation import Observation, RequestView
from ..scanning import evict_latest, evict_least_lost, volume

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ....solvers.random_stream import Stream
    from ..hindsight import World

#: Index, release, prompt, output of the requests of a world, shape (m,) each.
Columns = tuple[IntArray, IntArray, IntArray, IntArray]

#: When the requests that wait start, by index.
Plan = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Bayes(BayesPolicy[Observation, Decision]):
    """Start what most hindsight schedules of sampled futures start now, one request at a time.

    At each round boundary at which a waiting request fits, `samples` futures are drawn, and for
    each a hindsight schedule is found (annealing of `effort` steps, from the schedules of the last
    decision). Requests are elected in turn (`bayes_selector.elected`). Where the future is certain,
    since none is to come and all lengths are told, the worlds are as many schedules of it: what the
    best of them starts is started, and it is only left for a better one. Told no lengths, it draws
    them given the most tokens that a request has had, also in a run that was evicted, and evicts on
    overflow as `LeastLost` does; else the latest. The options are those of
    `BayesPolicy`; lengths may be "exact", "predicted", "interval" or "none".

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

    summary: ClassVar[str] = "hindsight schedules of sampled futures vote, request by request"
    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS
    remembers: ClassVar[bool] = True

    def session(self) -> BayesRun:
        """Return the policy for one run: it keeps its plans from decision to decision."""
        return BayesRun(self)


class BayesRun(VotingSession[Observation, Decision, "World", Plan]):
    """One run of `Bayes`."""

    summary: ClassVar[str] = Bayes.summary
    length_kinds: ClassVar[tuple[str, ...]] = Bayes.length_kinds

    def __init__(self, policy: Bayes, law: Law | None = None) -> None:
        super().__init__(policy, law)
        self._attained = Attained()
        self._untold = policy.lengths == "none"

    def without_vote(self, observation: Observation) -> Decision | None:
        """Evict on overflow; start nothing where nothing fits."""
        self._attained.look(observation)
        if observation.overflows:
            return (evict_least_lost if self._untold else evict_latest)(observation)
        if not any(_fits_next_round(observation, view, ()) for view in observation.waiting):
            return Decision()
        return None

    def solved(
        self,
        observation: Observation,
        plan: Plan | None,
        rng: np.random.Generator,
        stream: Stream,
    ) -> World:
        """Draw a future and solve it, from the order of a plan where there is one."""
        from ...coupling.plans import merged_order
        from ..hindsight import REHEAT, World, first_order

        t, waiting = observation.time, observation.waiting
        past = Past(t, observation.kv_capacity, observation.arrived)
        future = self.law.draw(past, rng)
        had = [self._attained.tokens(view.index) if self._untold else 0 for view in waiting]
        lengths = [
            draw_length(view, tokens, self.law, past, rng)
            for view, tokens in zip(waiting, had, strict=True)
        ]
        arrived = np.zeros(len(waiting), np.int64)
        columns = (
            np.array([*(view.index for view in waiting), *[-1] * future.arrival.size], np.int64),
            np.concatenate((arrived, future.arrival - t)),
            np.concatenate((np.array([view.prompt for view in waiting], np.int64), future.prompt)),
            np.concatenate((np.array(lengths, np.int64), future.output)),
        )
        runs = []  # KV tokens that each running request holds now, and the rounds that are left
        for view in observation.running:
            tokens = view.size(t) - view.prompt
            least = max(tokens, self._attained.tokens(view.index)) if self._untold else tokens
            left = draw_length(view, least, self.law, past, rng) - tokens
            runs.append((view.size(t), left))
        first = first_order(*columns[1:])
        columns = _closer(columns, runs)
        fixed = _held(observation, runs, *columns[1:])
        world = World(*columns, fixed, observation.kv_capacity, np.zeros(0, np.int64))
        known = plan or {}
        planned = np.array([known.get(int(i), -1) for i in columns[0]], np.int64)
        order = merged_order(first, planned)
        # Where no request is to come and there is a plan, it is only improved.
        refine = future.arrival.size == 0 and bool(plan)
        if refine and _is_told(observation) and (planned >= t).all():
            world.start = planned - t
            world.improve(self.effort, REHEAT, stream)
        else:
            world.solve(order, self.effort, REHEAT if refine else 1.0, stream)
        return world

    def vote(self, observation: Observation, worlds: list[World], stream: Stream) -> Decision:
        """Elect requests to start; at least one if nothing runs."""
        waiting = {view.index: view for view in observation.waiting}
        if _is_told(observation) and all((world.who >= 0).all() for world in worlds):
            return _best_starts(observation, worlds, stream)

        def ballots(chosen: list[int]) -> list[list[int]]:
            others = [waiting[i] for i in chosen]
            wanted = [
                [
                    i
                    for i in world.starts_now().tolist()
                    if _fits_next_round(observation, waiting[i], others)
                ]
                for world in worlds
            ]
            if any(wanted) or chosen or observation.running:
                return wanted
            return [[world.first_to_start()] for world in worlds]

        def commit(chosen: list[int]) -> None:
            for world in worlds:
                world.commit(chosen[-1], self.effort, stream)

        must = not observation.running
        return Decision(start=tuple(elected(ballots, commit, at_least_one=must)))

    def plan(self, observation: Observation, world: World, decision: Decision) -> Plan:
        """Return when the requests that wait start in a world."""
        there = world.who >= 0
        start = observation.time + world.start[there]
        return dict(zip(world.who[there].tolist(), start.tolist(), strict=True))


def _is_told(observation: Observation) -> bool:
    """Whether all output lengths are known."""
    here = (*observation.waiting, *observation.running)
    return all(view.shortest is not None and view.shortest == view.longest for view in here)


def _best_starts(observation: Observation, worlds: list[World], stream: Stream) -> Decision:
    """Start what the best schedule of a certain future does; the others go on from there."""
    best = min(worlds, key=lambda world: world.cost)
    waiting = {view.index: view for view in observation.waiting}
    chosen: list[int] = []
    for i in best.starts_now().tolist():
        if _fits_next_round(observation, waiting[i], [waiting[j] for j in chosen]):
            chosen.append(i)
    if not chosen and not observation.running:
        chosen = [best.first_to_start()]
    worlds[:] = [world.after(chosen, stream) for world in worlds]
    return Decision(start=tuple(chosen))


def _fits_next_round(
    observation: Observation, view: RequestView, others: Sequence[RequestView]
) -> bool:
    """Whether round t + 1 has room for a start beside what runs and others that start."""
    filled, held = observation.next_round, observation.kv_next_round
    for other in others:
        filled.add(other.prompt)
        held += other.prompt + 1
    return held + view.prompt + 1 <= observation.kv_capacity and filled.takes(view.prompt)


def _closer(columns: Columns, runs: list[tuple[int, int]]) -> Columns:
    """Leave out the stretches of time in which nothing could be running."""
    from ..hindsight import without_idle_stretches

    who, release, prompt, output = columns
    left = max((rounds for _, rounds in runs), default=0)
    return who, without_idle_stretches(release, output, left), prompt, output


def _held(
    observation: Observation,
    runs: list[tuple[int, int]],
    release: IntArray,
    prompt: IntArray,
    output: IntArray,
) -> IntArray:
    """Profile of what runs, in rounds from now, with room for a schedule of the rest."""
    from ....solvers.mixed.search.profile import limited_profile

    M, B, C = observation.kv_capacity, observation.running_requests, observation.batch_tokens
    area = int(volume(prompt, output).sum())
    longest = max([int(output.max()), *(left for _, left in runs)])
    last = int(release.max()) + 2 * longest + 3 * area // M
    if B is None and C is None:
        fixed = held = np.zeros(last + 1, np.int64)
    else:
        everything = prompt.size + len(runs)
        tokens = int(prompt.sum()) + len(runs)
        fixed = limited_profile(B or everything, C or tokens, last)
        held = fixed[0]
        for _, left in runs:
            fixed[1:, 1 : left + 1] -= 1
    for size, left in runs:
        held[1 : left + 1] += size + np.arange(1, left + 1)
    return fixed
