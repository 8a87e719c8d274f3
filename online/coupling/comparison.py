"""The course of a decision where whole decisions are compared over sampled futures.

Votes on what to do next follow no plan to its end where near-optimal schedules differ. So what
stands for election here is a decision with all its parts: each one that a hindsight schedule of a
sampled future takes now. It is carried out in *every* future, what is left of the future's schedule
is improved from there on, and the decision of the least mean latency is taken. Its latency in a
future, less the least of all decisions there, is its compensation (docs/model/coupling.md), the
same futures being used for all decisions: so that is the Bayes selector with compensations as
weights, and not only votes. The schedules that go on after the decision are the plans of the next.

Futures that are equal are one future with several schedules, of which the best counts. Where the
future is known they all are, and then the best schedule found so far is followed, and only left for
a better one.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from .bayes_policy import BayesPolicy, BayesSession, Decision, Observation, Plan
from .futures import Law

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ...solvers.random_stream import Stream

#: Share of the steps that go into the hindsight schedules; the rest compares decisions.
SCHEDULES = 0.5

#: Decisions that are compared, at most: the first, and those that most futures take.
MOST_COMPARED = 6

Self = TypeVar("Self")


class Hindsight(Protocol):
    """A sampled future with a hindsight schedule, as decisions are compared over it."""

    @property
    def cost(self) -> float:
        """Total latency under the schedule, up to what no decision changes."""
        ...

    def key(self) -> Hashable:
        """Return what is equal for equal futures of the same moment."""
        ...

    def solve(self, steps: int, stream: Stream) -> None:
        """Improve the schedule by some annealing steps."""
        ...

    def after(self: Self, decision: Any) -> Self:
        """Return the future as it goes on after a decision, with what is left of the schedule."""
        ...


World = TypeVar("World", bound=Hindsight)


class ComparingSession(
    BayesSession[Observation, Decision, Plan], Generic[Observation, Decision, World, Plan]
):
    """One run of a policy ``bayes`` that compares decisions; its parameters are `BayesSession`'s.

    Futures are kept from decision to decision, so that it is not their chance that changes the
    plan. One of them is drawn anew each time, in turn.
    """

    def __init__(self, policy: BayesPolicy[Observation, Decision], law: Law | None = None) -> None:
        super().__init__(policy, law)
        self._turn = 0

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Draw futures, find their hindsight schedules, compare what they do next."""
        without_choice = self.without_vote(observation)
        if without_choice is not None:
            return without_choice
        from ...solvers.random_stream import random_stream

        stream = random_stream(int(rng.integers(2**63)))
        self._turn = (self._turn + 1) % len(self.plans)
        worlds = [
            self.drawn(observation, plan, anew=plan is None or k == self._turn, rng=rng)
            for k, plan in enumerate(self.plans)
        ]
        for world in worlds:
            world.solve(int(SCHEDULES * self.effort), stream)
        votes = self.votes(observation, worlds)
        first, *others = votes
        others.sort(key=votes.__getitem__, reverse=True)
        decisions = [first, *others[: MOST_COMPARED - 1]]
        steps = int((1 - SCHEDULES) * self.effort / len(decisions)) if len(decisions) > 1 else 0
        decision, after = least_mean(worlds, decisions, steps, stream)
        self.plans = [self.plan(observation, world) for world in after]
        return decision

    @abstractmethod
    def drawn(
        self, observation: Observation, plan: Plan | None, *, anew: bool, rng: np.random.Generator
    ) -> World:
        """Return a sampled future, that of the plan or one anew, with a first schedule."""

    @abstractmethod
    def votes(self, observation: Observation, worlds: Sequence[World]) -> Counter[Decision]:
        """Return the decisions that hindsight schedules take now, with how many do; not none.

        The decision of the schedule of the least cost stands first: if all futures are equal, it
        must be among those that are compared.
        """

    @abstractmethod
    def plan(self, observation: Observation, world: World) -> Plan:
        """Return what is kept of a future after the decision."""


def least_mean(
    worlds: Sequence[World], decisions: Sequence[Decision], steps: int, stream: Stream
) -> tuple[Decision, list[World]]:
    """Return the decision of the least mean cost, of equals the first, and the worlds after it.

    Worlds with equal futures are as many schedules of one future: the best of them is its cost.

    Parameters
    ----------
    worlds : sequence
        Futures with their schedules.
    decisions : sequence
        One or more.
    steps : int
        Annealing steps per decision and world, ≥ 0.
    stream : Stream
        Randomness of the annealing.
    """
    keys = [world.key() for world in worlds]
    counts = Counter(keys)
    best: tuple[float, Decision, list[World]] | None = None
    for decision in decisions:
        after = [world.after(decision) for world in worlds]
        costs: dict[Hashable, float] = {}
        for key, world in zip(keys, after, strict=True):
            world.solve(steps, stream)
            costs[key] = min(costs.get(key, math.inf), world.cost)
        cost = sum(count * costs[key] for key, count in counts.items())
        if best is None or cost < best[0]:
            best = cost, decision, after
    assert best is not None
    return best[1], best[2]
