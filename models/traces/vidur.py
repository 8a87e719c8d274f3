"""Processed traces of the vidur and Sarathi-Serve repositories."""

from __future__ import annotations

from .clock import SECONDS
from .format import TraceFormat

VIDUR = TraceFormat(
    name="vidur",
    description="vidur and Sarathi-Serve processed traces, with arrivals",
    source="https://github.com/microsoft/vidur",
    container="csv",
    arrival="arrived_at",
    prompt="num_prefill_tokens",
    output="num_decode_tokens",
    clock=SECONDS,
)
