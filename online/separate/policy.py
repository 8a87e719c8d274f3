"""What a policy of separate batching is, and the built-in ones by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from ..registry import PolicyRegistry
from .decision import BatchDecision
from .observation import SeparateObservation

#: Installed packages register policies of separate batching under this entry-point group.
ENTRY_POINT_GROUP = "batchprophet.separate_policies"

_HERE = f"{__package__}.policies"

#: Where the built-in policies are, as ``module:Class`` by name; imported when they are asked for.
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "prefill-first": f"{_HERE}.prefill_first:PrefillFirst",
        "decode-first": f"{_HERE}.decode_first:DecodeFirst",
        "full-prompt-batch": f"{_HERE}.full_prompt_batch:FullPromptBatch",
        "hysteresis": f"{_HERE}.hysteresis:Hysteresis",
        "shortest-remaining": f"{_HERE}.shortest_remaining:ShortestRemaining",
        "smallest-volume": f"{_HERE}.smallest_volume:SmallestVolume",
        "bayes": f"{_HERE}.bayes:Bayes",
    }
)

#: The policies of separate batching.
REGISTRY = PolicyRegistry("separate", ENTRY_POINT_GROUP, BUILT_IN, deliberate=("bayes",))


@runtime_checkable
class SeparatePolicy(Protocol):
    """An online policy of separate batching: a value with one method, and no memory.

    One that is to remember something within a run has a method ``session`` besides, which takes
    nothing and returns a new policy of the same name for one run (`session`).

    Its fields are its options. Randomness comes from the generator that it is handed, never from
    elsewhere; what it knows is what the observation says.

    Attributes
    ----------
    model : str
        "separate".
    name, summary, source : str
        Its name in tables, one line on what it does, and where it comes from.
    length_kinds : tuple of str
        What it can be told of output lengths: some of "exact", "predicted", "interval", "none".
        It is told the first, unless it has a field ``lengths`` that says which (and, for
        predictions drawn with a relative error, a field ``error``). What it is told must not be too
        short: there are no evictions.
    """

    model: ClassVar[str]
    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    length_kinds: ClassVar[tuple[str, ...]]

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Say what the GPU does now: a prompt batch, a token batch, or nothing until someone comes.

        Parameters
        ----------
        observation : SeparateObservation
            The state at a batch boundary, after completions and arrivals; somebody waits or runs.
        rng : numpy.random.Generator
            The only source of randomness.

        Returns
        -------
        BatchDecision
            The batch must keep the limits and the KV capacity at its end, and leave a state from
            which all running requests can finish (`safety.all_can_finish`).
        """
        ...


def session(policy: SeparatePolicy) -> SeparatePolicy:
    """Return who decides in one run: the policy, or what its method ``session`` makes for it."""
    begin: Callable[[], SeparatePolicy] | None = getattr(policy, "session", None)
    return policy if begin is None else begin()


def registered_policies() -> dict[str, type]:
    """Return all policies of separate batching by name, those of installed packages last.

    Raises
    ------
    InputError
        If a registered policy cannot be imported, is no policy of separate batching, or takes a
        name that is in use.

    Examples
    --------
    >>> list(registered_policies())[:2]
    ['prefill-first', 'decode-first']
    """
    return REGISTRY.registered()


def make_policy(spec: str | SeparatePolicy) -> SeparatePolicy:
    """Make a policy of separate batching from its specification ``NAME[:key=value,…]``.

    Parameters
    ----------
    spec : str or SeparatePolicy
        NAME is that of a registered policy or ``module:Class``; a policy is returned as it is.

    Raises
    ------
    InputError
        If the policy or an option is unknown, a value is out of range, or the module or class
        cannot be imported or is no policy of separate batching.

    Examples
    --------
    >>> make_policy("hysteresis:high=4")
    Hysteresis(high=4, low=0, lengths='exact', error=None)
    """
    policy: SeparatePolicy = REGISTRY.make(spec)
    return policy
