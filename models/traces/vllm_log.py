"""Logs of measured vLLM runs, one request a line."""

from __future__ import annotations

from .beside import kv_tokens_beside
from .clock import SECONDS
from .format import TraceFormat

#: ``arrival_time`` is the client's wall clock; the engine's own times, ``queued_ts`` first, are of
#: a monotonic clock. A request arrives when the engine queues it. A ``meta.json`` beside the log
#: may say how many KV tokens the engine had.
VLLM_LOG = TraceFormat(
    name="vllm-log",
    description="per-request logs of vLLM runs (requests.jsonl)",
    source="https://github.com/casys-kaist/LLMServingSim",
    container="jsonl",
    arrival="queued_ts",
    prompt="input_toks",
    output="output_toks",
    clock=SECONDS,
    kv_capacity=kv_tokens_beside,
)
