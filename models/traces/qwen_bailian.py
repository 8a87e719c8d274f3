"""Qwen-Bailian anonymous usage traces."""

from __future__ import annotations

from .clock import SECONDS
from .format import TraceFormat

#: ``timestamp`` is in seconds. ``chat_id`` tells it from Mooncake, whose times are milliseconds.
QWEN_BAILIAN = TraceFormat(
    name="qwen-bailian",
    description="Qwen-Bailian usage traces (Alibaba Cloud)",
    source="https://github.com/alibaba-edu/qwen-bailian-usagetraces-anon",
    container="jsonl",
    arrival="timestamp",
    prompt="input_length",
    output="output_length",
    clock=SECONDS,
    marks=("chat_id",),
)
