"""Length-only files of the vidur and Sarathi-Serve repositories."""

from __future__ import annotations

from .format import TraceFormat

LENGTHS = TraceFormat(
    name="lengths",
    description="vidur and Sarathi-Serve lengths without arrivals; needs an arrival law",
    source="https://github.com/microsoft/sarathi-serve",
    container="csv",
    prompt="num_prefill_tokens",
    output="num_decode_tokens",
    without=("arrived_at",),
)
