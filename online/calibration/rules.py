"""Rules that engines are known to follow, to be tried where the assumed one is in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: By regime: admission by first chunks; separate prompts; whole groups; shortest first.
ALTERNATIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "continuous": (
            "vllm",
            "vllm:scheduler_reserve_full_isl=false",
            "prefill-first",
            "shortest-total",
            "mc-sf",
        ),
        "separate": ("prefill-first", "decode-first", "smallest-volume"),
    }
)
