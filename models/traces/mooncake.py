"""Mooncake traces (Kimi)."""

from __future__ import annotations

from .clock import MILLISECONDS
from .format import TraceFormat

#: ``timestamp`` is in milliseconds and has ticks of about three seconds: nine in ten requests tie
#: with another. ``hash_ids`` (prefix blocks of 512 tokens) are not used: no prefix is shared here.
MOONCAKE = TraceFormat(
    name="mooncake",
    description="Mooncake (Kimi): conversation, tool and agent, synthetic",
    source="https://github.com/kvcache-ai/Mooncake",
    container="jsonl",
    arrival="timestamp",
    prompt="input_length",
    output="output_length",
    clock=MILLISECONDS,
    without=("chat_id",),
)
