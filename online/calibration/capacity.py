"""KV capacity of an engine whose log does not say it: fitted, with an interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...models.engine_logs.log import EngineLog
from ...models.errors import BatchprophetError
from ...models.instance import IntArray
from .fit import first_requests, fit_law
from .replay import Engine
from .signs import most_kv

#: Capacities that are tried first, relative to the most KV that the log seems to hold: memory that
#: binds is full at some time. Preempted requests seem to hold some, and do not.
FIRST = (0.6, 0.68, 0.76, 0.84, 0.9, 0.93, 0.96, 0.99, 1.02, 1.06, 1.12, 1.25)

#: Rounds in which capacities between the best one and its neighbours are tried, and how many.
ROUNDS, TRIED = 2, 3

#: Plays of the rule for refining the law at each capacity.
PLAYS = 15

#: A capacity is as good as the best if its distance is larger by at most this factor.
AS_GOOD = 1.15

#: A log is looked at up to this many requests.
MOST_REQUESTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCapacity:
    """KV tokens of an engine, as its log tells.

    Attributes
    ----------
    value : int
        The capacity with which the rule is nearest to the log.
    low, high : int
        All that are about as near.
    binds : bool
        Whether the memory is ever full: if not, every capacity from `low` on is the same.
    """

    value: int
    low: int
    high: int
    binds: bool


def ample(prompt: IntArray, output: IntArray, seats: int | None, block: int) -> int:
    """Return a KV capacity that no schedule of requests needs more of.

    Parameters
    ----------
    prompt, output : ndarray of int64, shape (n,)
        Tokens of the requests.
    seats : int or None
        Most running requests; None for no limit.
    block : int
        Tokens in a KV block, ≥ 1.

    See Also
    --------
    fit_capacity : What a log tells of the capacity.

    Examples
    --------
    >>> prompt, output = np.array([4, 5]), np.array([3, 3])
    >>> ample(prompt, output, 1, 16), ample(prompt, output, None, 1)
    (16, 15)
    """
    whole = -(-(prompt + output) // block) * block
    caches: list[int] = sorted(whole.tolist(), reverse=True)
    return max(2, sum(caches[:seats]))


def fit_capacity(log: EngineLog, engine: Engine) -> FittedCapacity:
    """Fit the KV capacity of an engine, with the law fitted anew for each.

    Parameters
    ----------
    log : EngineLog
        The log.
    engine : Engine
        Rule and limits; its KV capacity is one that no schedule needs more of.

    Returns
    -------
    FittedCapacity
        Its `high` is the engine's capacity as given where memory does not bind.
    """
    block, most = engine.limits.block_size, engine.limits.kv_capacity
    part, _ = first_requests(log, MOST_REQUESTS)
    least = int((log.prompt + log.output).max()) + block
    found: dict[int, float] = {}

    def look_at(capacities: Iterable[float]) -> None:
        for wanted in capacities:
            capacity = min(most, max(least, int(wanted) // block * block))
            if capacity in found:
                continue
            tried = replace(engine, limits=replace(engine.limits, kv_capacity=capacity))
            try:
                found[capacity] = fit_law(part, tried, plays=PLAYS).distance_ms
            except BatchprophetError:  # the rule does not serve these requests with so little
                found[capacity] = np.inf

    held = most_kv(part)
    look_at([*(share * held for share in FIRST), most])
    for _ in range(ROUNDS):
        known = sorted(found)
        at = known.index(min(known, key=lambda c: (found[c], -c)))
        near = known[max(0, at - 1)], known[min(len(known) - 1, at + 1)]
        look_at(np.linspace(*near, TRIED + 2)[1:-1].tolist())
    best = min(found, key=lambda c: (found[c], -c))
    good = [c for c in found if found[c] <= AS_GOOD * found[best]]
    binds = most not in good
    return FittedCapacity(value=best if binds else most, low=min(good), high=max(good), binds=binds)
