"""What a policy of separate batching is, and the built-in ones by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Protocol, runtime_checkable

from .. import protocol
from ..protocol import session
from ..registry import PolicyRegistry
from .decision import BatchDecision
from .observation import SeparateObservation

__all__ = [
    "BUILT_IN",
    "ENTRY_POINT_GROUP",
    "REGISTRY",
    "SeparatePolicy",
    "make_policy",
    "registered_policies",
    "session",
]

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
        "threshold": f"{_HERE}.threshold:Threshold",
        "shortest-remaining": f"{_HERE}.shortest_remaining:ShortestRemaining",
        "smallest-volume": f"{_HERE}.smallest_volume:SmallestVolume",
        "wait": f"{_HERE}.wait:Wait",
        "bayes": f"{_HERE}.bayes:Bayes",
    }
)


@runtime_checkable
class SeparatePolicy(protocol.Policy[SeparateObservation, BatchDecision], Protocol):
    """A policy of separate batching; `online.protocol` says what a policy is.

    Its ``model`` is "separate". It decides at a batch boundary, after completions and arrivals,
    while some request waits or runs, what the GPU does next: a prompt batch, a token batch, or
    nothing until the next arrival. The batch must keep the limits and the KV capacity at its end,
    and leave a state from which all running requests can finish (`safety.all_can_finish`). What it
    is told of lengths must not be too short: there is no preemption.
    """

    model: ClassVar[str]


#: The policies of separate batching.
REGISTRY: PolicyRegistry[SeparatePolicy] = PolicyRegistry(
    "separate", ENTRY_POINT_GROUP, BUILT_IN, deliberate=("wait", "bayes")
)

registered_policies = REGISTRY.registered
make_policy = REGISTRY.make
