"""What a checker says of a schedule: one violated rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One violated rule.

    Attributes
    ----------
    rule : str
        Mixed batching: ``"arrival"``, ``"eviction"``, ``"restart"``, ``"kv-capacity"``,
        ``"running-requests"`` or ``"batch-tokens"``. Separate batching: ``"empty-batch"``,
        ``"twice"``, ``"overlap"``, ``"prompt-batch-requests"``,
        ``"prompt-batch-tokens"``, ``"token-batch-requests"``, ``"arrival"``, ``"prompt-again"``,
        ``"prompt-first"``, ``"tokens"``, ``"unserved"`` or ``"kv-capacity"``.
    time : int
        First time at which it is violated: a round or round boundary, or for separate batching the
        start or end of a batch, in the batch-time law's unit.
    amount : int
        By how much: time, requests, jobs, or KV tokens over the capacity.
    message : str
        The whole fact in one sentence.
    request : int or None
        The request concerned, where it is one.
    """

    rule: str
    time: int
    amount: int
    message: str
    request: int | None = None
