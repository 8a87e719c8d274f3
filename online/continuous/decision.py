"""What a policy of continuous batching answers: the next batch, or that the GPU idles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContinuousDecision:
    """What the GPU does from this boundary on.

    Attributes
    ----------
    prefill : tuple of (int, int)
        Prompt chunks: the request, by index, and how many tokens are read. The order of those that
        start to read is their order among the running.
    decode : tuple of int
        Requests that get a token job, by index.
    preempt : tuple of int
        Requests whose caches are dropped just before the batch, by index.
    wake_at : int or None
        Where there is no batch: when to be asked again if no request arrives before; None for not
        before the next arrival.

    Examples
    --------
    >>> ContinuousDecision(prefill=((2, 5),), decode=(0, 1)).decode
    (0, 1)
    """

    prefill: tuple[tuple[int, int], ...] = ()
    decode: tuple[int, ...] = ()
    preempt: tuple[int, ...] = ()
    wake_at: int | None = None
