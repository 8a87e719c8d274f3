"""The kinds of proof by name. A new kind is a file of its own and one line here.

Nothing in this folder uses what finds schedules, bounds or proofs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .blocks import BlocksProof, ContinuousBlocksProof, SeparateBlocksProof
from .continuous.batch_length_prices import BatchLengthPriceProof
from .continuous.continuous_search import ContinuousSearch
from .continuous.simple import ContinuousBound
from .mixed.by_deadline import DeadlineProof
from .mixed.class_prices import ClassPriceProof
from .mixed.combinatorial import CombinatorialBound
from .mixed.configuration_prices import ConfigurationPriceProof
from .mixed.equal_requests import EqualRequestsProof
from .mixed.exhaustive_search import ExhaustiveSearch
from .mixed.knapsack_prices import KnapsackPriceProof
from .mixed.memory_prices import MemoryPriceProof
from .mixed.path_search import PathSearch
from .mixed.round_prices import RoundPriceProof
from .proof import Proof, RecomputedProof
from .relaxation import RelaxationProof
from .separate.equal_requests import SeparateEqualRequestsProof
from .separate.waits_and_stalls import WaitsAndStallsProof
from .separate.walk_prices import WalkPriceProof
from .separate.walk_search import WalkSearch

#: Kinds of proof whose bound is recomputed by independent code.
RECOMPUTED_KINDS: Mapping[str, type[RecomputedProof]] = MappingProxyType(
    {
        proof.kind: proof
        for proof in (
            CombinatorialBound,
            MemoryPriceProof,
            KnapsackPriceProof,
            ConfigurationPriceProof,
            ExhaustiveSearch,
            DeadlineProof,
            EqualRequestsProof,
            ClassPriceProof,
            RoundPriceProof,
            WalkPriceProof,
            WaitsAndStallsProof,
            SeparateEqualRequestsProof,
            WalkSearch,
            BatchLengthPriceProof,
            ContinuousBound,
            ContinuousSearch,
            BlocksProof,
            SeparateBlocksProof,
            ContinuousBlocksProof,
            RelaxationProof,
        )
    }
)

#: Kinds that can only be replayed by the code that found the bound: see `solvers.replay`.
REPLAYED_KINDS: Mapping[str, type[Proof]] = MappingProxyType({PathSearch.kind: PathSearch})

#: All kinds of proof by their name in files.
PROOF_KINDS: Mapping[str, type[Proof]] = MappingProxyType({**RECOMPUTED_KINDS, **REPLAYED_KINDS})


def kind_text(kind: str) -> str:
    """Return a kind as lists show it: what is only replayed is called that.

    Examples
    --------
    >>> kind_text("walk-search"), kind_text("path-search")
    ('walk-search', 'path-search (replayed)')
    """
    return f"{kind} (replayed)" if kind in REPLAYED_KINDS else kind
