"""Traces of the splitwise-sim simulator."""

from __future__ import annotations

from .clock import SECONDS
from .format import TraceFormat

SPLITWISE_SIM = TraceFormat(
    name="splitwise-sim",
    description="splitwise-sim request traces",
    source="https://github.com/Mutinifni/splitwise-sim",
    container="csv",
    arrival="arrival_timestamp",
    prompt="prompt_size",
    output="token_size",
    clock=SECONDS,
)
