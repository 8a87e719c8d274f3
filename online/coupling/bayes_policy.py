"""What the policies ``bayes`` of all batching regimes share: options, and what a run keeps.

Futures are drawn from a law given what has arrived; in each, a hindsight schedule of all that runs,
waits and is to come is found. Either whole decisions are compared over all futures (`comparison`),
or the schedules vote (`VotingSession`): an action's compensation is 0 where the hindsight schedule
takes it, so the most votes mean the smallest estimated probability of a disagreement, which is the
Bayes selector (`bayes_selector`). The schedules are kept as plans, from which the searches of the
next decision begin. No constant regret is claimed for latency.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np

from ...models.errors import InputError
from ..lengths import require_lengths
from ..options import require_integer
from ..protocol import Policy
from .futures import LAWS, Law

if TYPE_CHECKING:  # compiled code is loaded where it is run
    from ...solvers.random_stream import Stream

Observation = TypeVar("Observation")
Decision = TypeVar("Decision")
World = TypeVar("World")
Plan = TypeVar("Plan")


@dataclass(frozen=True, slots=True)
class BayesPolicy(ABC, Generic[Observation, Decision]):
    """Options of a policy ``bayes``.

    Parameters
    ----------
    law : {"past", "arrival-model-1", "arrival-model-2"}
        What futures are drawn from: an estimate from what has arrived, or a published law with its
        rate and last round unknown.
    samples : int
        K ≥ 1 futures per decision.
    effort : int
        Annealing steps per future and decision, ≥ 0.
    lengths : str
        What is known of output lengths; within an interval, or where nothing is known, they are
        drawn too.
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    law: str = "past"
    samples: int = 15
    effort: int = 1000
    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "bayes"
    source: ClassVar[str] = "arXiv 1901.05028 (Bayes selector), with sampled hindsight"
    length_kinds: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError(f"law: expected one of {', '.join(LAWS)}; found {self.law!r}")
        require_integer("samples", self.samples, low=1)
        require_integer("effort", self.effort, low=0)
        require_lengths(self.length_kinds, self.lengths, self.error)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Decide once, without plans from before."""
        return self.session().decide(observation, rng)

    @abstractmethod
    def session(self) -> Policy[Observation, Decision]:
        """Return the policy for one run: it keeps its plans from decision to decision."""


class BayesSession(ABC, Generic[Observation, Decision, Plan]):
    """One run of a policy ``bayes``: what it keeps from decision to decision.

    Parameters
    ----------
    policy : BayesPolicy
        Its options.
    law : Law, optional
        What futures are drawn from, instead of the law that the options name.
    """

    name: ClassVar[str] = BayesPolicy.name
    source: ClassVar[str] = BayesPolicy.source

    def __init__(self, policy: BayesPolicy[Observation, Decision], law: Law | None = None) -> None:
        self.effort = policy.effort
        self.law = LAWS[policy.law] if law is None else law
        self.plans: list[Plan | None] = [None] * policy.samples

    @abstractmethod
    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Draw futures, find their hindsight schedules, and decide by them."""

    @abstractmethod
    def without_vote(self, observation: Observation) -> Decision | None:
        """Return the decision where there is no choice; None where there is one."""


class VotingSession(
    BayesSession[Observation, Decision, Plan], Generic[Observation, Decision, World, Plan]
):
    """One run in which the schedules vote; its parameters are `BayesSession`'s."""

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Draw futures, find their hindsight schedules, and let them vote."""
        decision = self.without_vote(observation)
        if decision is not None:
            return decision
        from ...solvers.random_stream import random_stream

        stream = random_stream(int(rng.integers(2**63)))
        worlds = [self.solved(observation, plan, rng, stream) for plan in self.plans]
        decision = self.vote(observation, worlds, stream)
        self.plans = [self.plan(observation, world, decision) for world in worlds]
        return decision

    @abstractmethod
    def solved(
        self,
        observation: Observation,
        plan: Plan | None,
        rng: np.random.Generator,
        stream: Stream,
    ) -> World:
        """Return a sampled future with its hindsight schedule, from a plan if there is one."""

    @abstractmethod
    def vote(self, observation: Observation, worlds: list[World], stream: Stream) -> Decision:
        """Return the decision that the schedules elect."""

    @abstractmethod
    def plan(self, observation: Observation, world: World, decision: Decision) -> Plan:
        """Return what is kept of a world's schedule after the decision."""
