"""Rules that engines are known to follow, to be tried where the assumed one is in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: By regime: first come first served with separate prompts, whole groups, and shortest first.
ALTERNATIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "continuous": ("vllm", "prefill-first", "shortest-total", "mc-sf"),
        "separate": ("prefill-first", "decode-first", "smallest-volume"),
    }
)
