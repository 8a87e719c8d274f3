"""What a policy of mixed batching is, and the built-in ones by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from ..registry import PolicyRegistry, policy_spec
from .decision import NEXT_EVENT, Decision
from .observation import Observation, RequestView

__all__ = [
    "BUILT_IN",
    "ENTRY_POINT_GROUP",
    "NEXT_EVENT",
    "REGISTRY",
    "Decision",
    "Observation",
    "Policy",
    "RequestView",
    "built_in_policies",
    "make_policy",
    "policy_spec",
    "registered_policies",
    "session",
]

#: Installed packages register policies under this entry-point group.
ENTRY_POINT_GROUP = "batchprophet.policies"

_HERE = f"{__package__}.policies"

#: Where the built-in policies are, as ``module:Class`` by name; imported when they are asked for.
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "mc-sf": f"{_HERE}.mc_sf:McSf",
        "mc-benchmark": f"{_HERE}.mc_benchmark:McBenchmark",
        "smallest-volume": f"{_HERE}.smallest_volume:SmallestVolume",
        "shortest-total": f"{_HERE}.shortest_total:ShortestTotal",
        "sorted-f": f"{_HERE}.sorted_f:SortedF",
        "alpha-greedy": f"{_HERE}.alpha_greedy:AlphaGreedy",
        "alpha-beta": f"{_HERE}.alpha_beta:AlphaBeta",
        "vllm": f"{_HERE}.vllm:Vllm",
        "bayes": f"{_HERE}.bayes:Bayes",
    }
)

#: The policies of mixed batching.
REGISTRY = PolicyRegistry("mixed", ENTRY_POINT_GROUP, BUILT_IN, deliberate=("bayes",))


@runtime_checkable
class Policy(Protocol):
    """An online policy: a value (best a frozen dataclass) with one method, and no memory.

    One that is to remember something within a run has a method ``session`` besides, which takes
    nothing and returns a new policy of the same name for one run (`session`).

    Its fields are its options. Randomness comes from the generator that it is handed, never from
    elsewhere; what it knows is what the observation says.

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
    remembers : bool, optional
        Whether observations are to hold all that have arrived; False where it is left out.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    length_kinds: ClassVar[tuple[str, ...]]

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Say whom to start and whom to evict at this round boundary.

        Parameters
        ----------
        observation : Observation
            The state after completions and arrivals.
        rng : numpy.random.Generator
            The only source of randomness.

        Returns
        -------
        Decision
            Round t + 1 must fit the KV capacity after it.
        """
        ...


def session(policy: Policy) -> Policy:
    """Return who decides in one run: the policy, or what its method ``session`` makes for it."""
    begin: Callable[[], Policy] | None = getattr(policy, "session", None)
    return policy if begin is None else begin()


def registered_policies() -> dict[str, type]:
    """Return all policies by name: the built-in ones, then those that installed packages register.

    Raises
    ------
    InputError
        If a registered policy cannot be imported, is no policy, or takes a name that is in use.

    Examples
    --------
    >>> list(registered_policies())[:2]
    ['mc-sf', 'mc-benchmark']
    """
    return REGISTRY.registered()


def built_in_policies() -> dict[str, type]:
    """Return the policies that come with the package, by name."""
    return REGISTRY.built_in_policies()


def make_policy(spec: str | Policy) -> Policy:
    """Make a policy from its specification ``NAME[:key=value,…]``.

    Parameters
    ----------
    spec : str or Policy
        NAME is that of a registered policy or ``module:Class``; a policy is returned as it is.

    Raises
    ------
    InputError
        If the policy or an option is unknown, a value is out of range, or the module or class
        cannot be imported or is no policy.

    Examples
    --------
    >>> make_policy("mc-sf:skip=true")
    McSf(skip=True, lengths='exact', error=None)
    """
    policy: Policy = REGISTRY.make(spec)
    return policy
