"""Kinds of claims without an independent verifier, and the code of a finder that replays them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .certificates.mixed.path_search import PathSearch
from .certificates.proof import Replay
from .mixed.path_graphs.replay import replay

#: What replays the claims of a kind, for `certificates.verification.verify`.
REPLAYS: Mapping[str, Replay] = MappingProxyType({PathSearch.kind: replay})
