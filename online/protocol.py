"""What a policy is, whatever the batching regime; each regime binds the types in its `policy`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

ObservationType = TypeVar("ObservationType", contravariant=True)
DecisionType = TypeVar("DecisionType", covariant=True)
Seen = TypeVar("Seen")
Decided = TypeVar("Decided")


@runtime_checkable
class Policy(Protocol[ObservationType, DecisionType]):
    """An online policy: a value (best a frozen dataclass) with one method, and no memory.

    Its fields are its options. Randomness comes from the generator that it is given, never from
    elsewhere; what it knows is what the observation says.

    A policy may have two more methods. ``session()`` returns a new policy of the same name for one
    run, which may remember things within it (`session`). ``run_compiled`` runs a whole instance as
    compiled code and returns the schedule that `decide` would make, or None where only `decide`
    can: it takes the instance, the told lengths and, in mixed batching, the generator.

    Attributes
    ----------
    name : str
        Its name in tables.
    summary : str
        One line on what it does.
    source : str
        Paper and section, or project, that it comes from.
    length_kinds : tuple of str
        What it can be told of output lengths: some of "exact", "predicted", "interval", "none".
        It is told the first, unless it has a field ``lengths`` that says which (and, for
        predictions drawn with a relative error, a field ``error``).
    model : str, optional
        Its batching regime; "mixed" where it is left out.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    length_kinds: ClassVar[tuple[str, ...]]

    def decide(self, observation: ObservationType, rng: np.random.Generator) -> DecisionType:
        """Decide what happens now.

        Parameters
        ----------
        observation : ObservationType
            The state after completions and arrivals.
        rng : numpy.random.Generator
            The only source of randomness.
        """
        ...


PolicyType = TypeVar("PolicyType", bound=Policy[Any, Any])


def session(policy: PolicyType) -> PolicyType:
    """Return what decides in one run: the policy, or what its method ``session`` makes for it."""
    begin = getattr(policy, "session", None)
    made: PolicyType = policy if begin is None else begin()
    return made


class RememberingPolicy(ABC, Generic[Seen, Decided]):
    """A policy that decides by what it remembers of a run: `session` makes what remembers."""

    __slots__ = ()

    @abstractmethod
    def session(self) -> Run[Seen, Decided]:
        """Return the policy for one run."""

    def decide(self, observation: Seen, rng: np.random.Generator) -> Decided:
        """Decide as at the begin of a run, without memories from before."""
        return self.session().decide(observation, rng)


class Run(ABC, Generic[Seen, Decided]):
    """One run of a policy, which says of itself what the policy does.

    Parameters
    ----------
    policy : Policy
        Its options.
    """

    def __init__(self, policy: Policy[Any, Any]) -> None:
        self.name, self.summary, self.source = policy.name, policy.summary, policy.source
        self.length_kinds = policy.length_kinds

    @abstractmethod
    def decide(self, observation: Seen, rng: np.random.Generator) -> Decided:
        """Decide what happens now."""
