"""Which requests of a trace are taken: a window of it, every k-th, a random part, what fits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from .checks import exact, require_integer, require_number
from .columns import Columns, TraceRequest

BEFORE, BETWEEN, THINNED = "before the window", "between every k-th", "thinned out"
OVERSIZE = "larger than the GPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a trace.

    Rows pass, in this order: those from `start` seconds after the trace's first request on; of
    them every `every`-th, the first included; each with probability `thin`; those that fit in
    `kv_capacity`; until `count` are taken.

    Parameters
    ----------
    start : float
        Seconds ≥ 0 after the trace's first arrival.
    count : int or None
        How many requests to take, ≥ 1; None for all.
    every : int
        k ≥ 1.
    thin : float
        In (0, 1].
    seed : int
        Seed ≥ 0 of the thinning.
    kv_capacity : int
        M ≥ 2, in tokens.
    oversize : {"refuse", "drop"}
        What to do with a request of more than `kv_capacity` tokens.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    start: float = 0.0
    count: int | None = None
    every: int = 1
    thin: float = 1.0
    seed: int = 0
    kv_capacity: int
    oversize: Literal["refuse", "drop"] = "refuse"

    def __post_init__(self) -> None:
        require_number("start", self.start, high=1e9)
        if self.count is not None:
            require_integer("count", self.count, low=1)
        require_integer("every", self.every, low=1)
        require_number("thin", self.thin, high=1, open_low=True)
        require_integer("seed", self.seed, low=0)
        require_integer("kv_capacity", self.kv_capacity, low=2)
        if self.oversize not in ("refuse", "drop"):
            raise InputError(f"oversize: expected refuse or drop, found {self.oversize!r}")


def take(
    requests: Iterable[TraceRequest], window: Window, dropped: Counter[str], path: str
) -> Columns:
    """Take a window's requests; nothing is read beyond the last one.

    Parameters
    ----------
    requests : iterable of TraceRequest
        The trace, by arrival.
    window : Window
        What to take.
    dropped : Counter
        Requests left out are counted here, by reason.
    path : str
        The file, for messages.

    Raises
    ------
    InputError
        If a request that would be taken is larger than the GPU and `window` refuses those.
    """
    taken = Columns()
    begin: int | None = None
    inside = -1
    wanted, every, thin, M = window.count, window.every, window.thin, window.kv_capacity
    rng = np.random.default_rng(window.seed)
    for request in requests:
        _, arrival, prompt, output, _ = request
        if begin is None:
            begin = arrival + math.floor(exact(window.start) * 10**9)
        inside += arrival >= begin
        if inside < 0:
            dropped[BEFORE] += 1
        elif inside % every:
            dropped[BETWEEN] += 1
        elif thin < 1 and rng.random() >= thin:
            dropped[THINNED] += 1
        elif prompt + output > M:
            if window.oversize == "refuse":
                raise _oversize(request, M, path)
            dropped[OVERSIZE] += 1
        else:
            taken.append(request)
            if len(taken) == wanted:
                break
    return taken


def _oversize(request: TraceRequest, M: int, path: str) -> InputError:
    s, o = request.prompt, request.output
    return InputError(
        f"{path}: line {request.line}: prompt + output must be at most kv_capacity = {M}, found "
        f"{s} + {o} = {s + o}: it can never run (oversize=drop, as --oversize drop, leaves "
        "such requests out)"
    )
