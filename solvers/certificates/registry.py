"""The kinds of proof by name. A new kind is a file of its own and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .blocks import BlocksProof, SeparateBlocksProof
from .combinatorial import CombinatorialBound
from .configuration_prices import ConfigurationPriceProof
from .exhaustive_search import ExhaustiveSearch
from .memory_prices import MemoryPriceProof
from .path_search import PathSearch
from .proof import Proof
from .round_prices import RoundPriceProof
from .waits_and_stalls import WaitsAndStallsProof
from .walk_prices import WalkPriceProof
from .walk_search import WalkSearch

#: Kinds of proof by their name in files.
PROOF_KINDS: Mapping[str, type[Proof]] = MappingProxyType(
    {
        proof.kind: proof
        for proof in (
            CombinatorialBound,
            MemoryPriceProof,
            ConfigurationPriceProof,
            ExhaustiveSearch,
            PathSearch,
            RoundPriceProof,
            WalkPriceProof,
            WaitsAndStallsProof,
            WalkSearch,
            BlocksProof,
            SeparateBlocksProof,
        )
    }
)
