"""What a policy of mixed batching is, and the built-in ones by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from .. import protocol
from ..protocol import session
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
        "a-min": f"{_HERE}.a_min:AMin",
        "class-budget": f"{_HERE}.class_budget:ClassBudget",
        "flow-control": f"{_HERE}.flow_control:FlowControl",
        "gba": f"{_HERE}.gba:Gba",
        "gsa": f"{_HERE}.gsa:Gsa",
        "wait": f"{_HERE}.wait:Wait",
        "nested-wait": f"{_HERE}.nested_wait:NestedWait",
        "least-attained": f"{_HERE}.least_attained:LeastAttained",
        "mlfq": f"{_HERE}.mlfq:Mlfq",
        "gittins": f"{_HERE}.gittins:Gittins",
        "least-lost": f"{_HERE}.least_lost:LeastLost",
        "bayes": f"{_HERE}.bayes:Bayes",
    }
)


@runtime_checkable
class Policy(protocol.Policy[Observation, Decision], Protocol):
    """A policy of mixed batching; `online.protocol` says what a policy is.

    It decides at a round boundary, after completions and arrivals, which requests to start and
    which to preempt; round t + 1 must fit the KV capacity then. With the class attribute
    ``remembers = True`` its observations hold all requests that have arrived.
    """


#: Those that are not compiled, or take long to decide.
DELIBERATE = (
    "a-min",
    "class-budget",
    "flow-control",
    "gba",
    "gsa",
    "wait",
    "nested-wait",
    "least-attained",
    "mlfq",
    "gittins",
    "least-lost",
    "bayes",
)

#: The policies of mixed batching.
REGISTRY: PolicyRegistry[Policy] = PolicyRegistry(
    "mixed", ENTRY_POINT_GROUP, BUILT_IN, deliberate=DELIBERATE
)

registered_policies = REGISTRY.registered
built_in_policies = REGISTRY.built_in_policies
make_policy = REGISTRY.make
