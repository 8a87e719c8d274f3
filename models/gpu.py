"""The GPU that serves an instance's requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from .arrays import require_integer
from .batch_time import BatchTime, UnitTime


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
    batch_time: BatchTime = field(default_factory=UnitTime)

    def __post_init__(self) -> None:
        require_integer("gpu.kv_capacity", self.kv_capacity, low=2)
        for name in ("prompt_batch_requests", "prompt_batch_tokens", "token_batch_requests"):
            if getattr(self, name) is not None:
                require_integer(f"gpu.{name}", getattr(self, name), low=1)

    @property
    def batch_limits(self) -> tuple[str, ...]:
        """Names of the batch limits that are set."""
        names = ("prompt_batch_requests", "prompt_batch_tokens", "token_batch_requests")
        return tuple(name for name in names if getattr(self, name) is not None)
