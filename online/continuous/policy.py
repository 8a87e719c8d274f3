"""What a policy of continuous batching is, and the built-in ones by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Protocol, runtime_checkable

from .. import protocol
from ..protocol import session
from ..registry import PolicyRegistry
from .decision import ContinuousDecision
from .observation import ContinuousObservation

__all__ = [
    "BUILT_IN",
    "ENTRY_POINT_GROUP",
    "REGISTRY",
    "ContinuousPolicy",
    "make_policy",
    "registered_policies",
    "session",
]

#: Installed packages register policies of continuous batching under this entry-point group.
ENTRY_POINT_GROUP = "batchprophet.continuous_policies"

_HERE = f"{__package__}.policies"

#: Where the built-in policies are, as ``module:Class`` by name; imported when they are asked for.
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "vllm": f"{_HERE}.vllm:Vllm",
        "shortest-prompt": f"{_HERE}.shortest_prompt:ShortestPrompt",
        "sarathi": f"{_HERE}.sarathi:Sarathi",
        "orca": f"{_HERE}.orca:Orca",
        "prefill-first": f"{_HERE}.prefill_first:PrefillFirst",
        "decode-first": f"{_HERE}.decode_first:DecodeFirst",
        "mc-sf": f"{_HERE}.mc_sf:McSf",
        "smallest-volume": f"{_HERE}.smallest_volume:SmallestVolume",
        "shortest-total": f"{_HERE}.shortest_total:ShortestTotal",
        "least-work": f"{_HERE}.least_work:LeastWork",
        "sorted-f": f"{_HERE}.sorted_f:SortedF",
        "least-attained": f"{_HERE}.least_attained:LeastAttained",
        "multi-level-feedback": f"{_HERE}.multi_level_feedback:MultiLevelFeedback",
        "gittins": f"{_HERE}.gittins:Gittins",
        "wait": f"{_HERE}.wait:Wait",
        "nested-wait": f"{_HERE}.nested_wait:NestedWait",
        "waves": f"{_HERE}.waves:Waves",
        "bayes": f"{_HERE}.bayes:Bayes",
    }
)


@runtime_checkable
class ContinuousPolicy(protocol.Policy[ContinuousObservation, ContinuousDecision], Protocol):
    """A policy of continuous batching; `online.protocol` says what a policy is.

    Its ``model`` is "continuous". It decides at a batch boundary, after completions and arrivals,
    while some request waits or runs, what the next batch holds: prompt chunks, token jobs, and
    caches that are dropped before it. The batch must keep the limits of the GPU, and the KV
    capacity at its end.
    """

    model: ClassVar[str]


#: The policies of continuous batching.
REGISTRY: PolicyRegistry[ContinuousPolicy] = PolicyRegistry(
    "continuous",
    ENTRY_POINT_GROUP,
    BUILT_IN,
    deliberate=(
        "least-attained",
        "multi-level-feedback",
        "gittins",
        "wait",
        "nested-wait",
        "waves",
        "bayes",
    ),
)

registered_policies = REGISTRY.registered
make_policy = REGISTRY.make
