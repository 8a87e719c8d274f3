"""The GPU that serves an instance's requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from .arrays import require_integer
from .batch_time import BatchTime, UnitTime
from .errors import InputError

#: Limits that only separate batching has.
SEPARATE_LIMITS = ("prompt_batch_requests", "prompt_batch_tokens", "token_batch_requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU: its KV capacity, batch limits and batch-time law.

    Parameters
    ----------
    kv_capacity : int
        M ≥ 2, in tokens.
    prompt_batch_requests : int or None
        B_P ≥ 1, requests in a prompt batch; None for no limit.
    prompt_batch_tokens : int or None
        C_P ≥ 1, prompt tokens in a prompt batch; None for no limit.
    token_batch_requests : int or None
        B_D ≥ 1, requests in a token batch; None for no limit.
    running_requests : int or None
        B ≥ 1, requests that hold a KV cache at once, of mixed and continuous batching (vLLM
        ``max_num_seqs``); None for no limit.
    batch_tokens : int or None
        C ≥ 1, prompt tokens and token jobs in a batch of mixed and continuous batching (vLLM
        ``max_num_batched_tokens``); None for no limit.
    kv_block : int
        Tokens in a block of KV memory, ≥ 1, under continuous batching: a cache takes whole blocks.
    chunked_prefill : bool
        Whether continuous batching may read a prompt in chunks.
    batch_time : UnitTime or ConstantTime or AffineTime
        The batch-time law.

    Raises
    ------
    InputError
        If a limit is not an integer in its range.

    Examples
    --------
    >>> Gpu(kv_capacity=47).batch_time.name
    'unit'
    """

    kv_capacity: int
    prompt_batch_requests: int | None = None
    prompt_batch_tokens: int | None = None
    token_batch_requests: int | None = None
    running_requests: int | None = None
    batch_tokens: int | None = None
    kv_block: int = 1
    chunked_prefill: bool = True
    batch_time: BatchTime = field(default_factory=UnitTime)

    def __post_init__(self) -> None:
        require_integer("gpu.kv_capacity", self.kv_capacity, low=2)
        for name in (*SEPARATE_LIMITS, "running_requests", "batch_tokens"):
            if getattr(self, name) is not None:
                require_integer(f"gpu.{name}", getattr(self, name), low=1)
        require_integer("gpu.kv_block", self.kv_block, low=1)
        if not isinstance(self.chunked_prefill, bool):
            raise InputError(
                f"gpu.chunked_prefill: expected true or false, found {self.chunked_prefill!r}"
            )

    @property
    def batch_limits(self) -> tuple[str, ...]:
        """Names of the limits of separate batching that are set."""
        return tuple(name for name in SEPARATE_LIMITS if getattr(self, name) is not None)

    @property
    def continuous_limits(self) -> tuple[str, ...]:
        """Names of the limits of continuous batching that are set."""
        blocks = ("kv_block",) if self.kv_block > 1 else ()
        names = ("running_requests", "batch_tokens")
        return (*(name for name in names if getattr(self, name) is not None), *blocks)
