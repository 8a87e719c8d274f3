"""Signs that a log is not of one engine that follows one rule: each with what it points to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.engine_logs.log import EngineLog
from ...models.instance import IntArray
from .replay import Engine, Replay

#: Most requests that may have failed: their work is not in the log.
MOST_FAILED = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A sign.

    Attributes
    ----------
    cause : {"replicas", "failed", "rule", "delay", "memory"}
        What it points to.
    text : str
        What is seen.
    """

    cause: str
    text: str


def signs_of(log: EngineLog, engine: Engine, played: Replay) -> tuple[Sign, ...]:
    """Return the signs that a log shows against a rule and its limits."""
    found = (
        _replicas_written(log),
        _failed(log),
        _seats(log, engine),
    )
    return tuple(sign for sign in found if sign is not None)


def most_at_once(begin: IntArray, end: IntArray) -> int:
    """Return the most intervals [begin, end) that hold at one moment.

    Examples
    --------
    >>> most_at_once(np.array([0, 1, 5]), np.array([5, 3, 9]))
    2
    """
    moments = np.concatenate([end, begin])  # ends first where they are equal
    step = np.concatenate([np.full(end.size, -1), np.full(begin.size, 1)])
    order = np.argsort(moments, kind="stable")
    return int(np.cumsum(step[order]).max(initial=0))


def _replicas_written(log: EngineLog) -> Sign | None:
    replicas = log.facts.replicas
    if replicas is None or replicas == 1:
        return None
    return Sign(
        cause="replicas",
        text=f"{replicas} replicas are behind the log (data_parallel_size of {log.facts.source})",
    )


def _failed(log: EngineLog) -> Sign | None:
    if log.failed <= MOST_FAILED * (log.n + log.failed):
        return None
    share = log.failed / (log.n + log.failed)
    return Sign(
        cause="failed",
        text=f"{log.failed:,} requests ({share:.0%}) failed: the work that they made is not in the "
        "log",
    )


def _seats(log: EngineLog, engine: Engine) -> Sign | None:
    """More requests get tokens at once than one engine has seats."""
    seats = engine.limits.max_num_seqs
    if seats is None:
        return None
    running = most_at_once(log.first_token, log.last_token)
    if running <= seats:
        return None
    return Sign(
        cause="replicas",
        text=f"{running:,} requests get tokens at once, more than the {seats:,} seats: several "
        "replicas behind one log, or more seats",
    )
