"""Rounds of annealing within limits, by clock or by work, in slices between looks at the clock."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...stages import Limits

#: Seconds of annealing between two looks at the clock.
SLICE_SECONDS = 0.05

#: Steps between two looks where work is limited.
SLICE_STEPS = 64


class Slice(NamedTuple):
    """Some steps of a round.

    Attributes
    ----------
    steps : int
        How many.
    before, after : float
        Parts of the round that are done before and after them.
    """

    steps: int
    before: float
    after: float


def part_of(limits: Limits, share: float) -> Limits:
    """Return limits that are a share of others.

    Examples
    --------
    >>> part_of(Limits(work=50), 0.3).work, part_of(Limits(6.0), 0.5).seconds
    (15, 3.0)
    """
    work = None if limits.work is None else int(share * limits.work)
    return Limits(share * limits.seconds, work, limits.stop)


def rounds(shares: Sequence[float], limits: Limits) -> Iterator[tuple[int, Iterator[Slice]]]:
    """Yield rounds by number, with their slices, until the limits are reached.

    Each has a share of the time or work; the last is repeated while there is any left.

    Examples
    --------
    >>> [(number, list(slices)) for number, slices in rounds([0.5, 0.5], Limits(work=3))]
    [(0, [Slice(steps=2, before=0.0, after=1.0)]), (1, [Slice(steps=1, before=0.0, after=1.0)])]
    """
    began, steps, done = time.perf_counter(), limits.steps(), 0
    for count in itertools.count():
        number = min(count, len(shares) - 1)
        if steps is None:
            left = limits.seconds - (time.perf_counter() - began)
            if left <= 0 or limits.stop():
                return
            yield number, _by_clock(min(left, max(shares[number] * limits.seconds, SLICE_SECONDS)))
            continue
        if done >= steps or limits.stop():
            return
        until = min(steps, done + int(shares[number] * steps) + 1)
        yield number, _by_work(until - done)
        done = until


def temperatures(hottest: float, coldest: float, part: Slice) -> tuple[float, float]:
    """Temperatures before and after a slice; they fall geometrically."""
    fall = math.log(coldest / hottest)
    return hottest * math.exp(fall * part.before), hottest * math.exp(fall * part.after)


def _by_work(steps: int) -> Iterator[Slice]:
    for done in range(0, steps, SLICE_STEPS):
        count = min(SLICE_STEPS, steps - done)
        yield Slice(count, done / steps, (done + count) / steps)


def _by_clock(seconds: float) -> Iterator[Slice]:
    """Yield slices of about `SLICE_SECONDS` each."""
    began = now = time.perf_counter()
    steps, before = 1, 0.0
    while now - began < seconds:
        after = min(1.0, (now + SLICE_SECONDS - began) / seconds)
        yield Slice(steps, before, after)
        last, now, before = now, time.perf_counter(), after
        rate = SLICE_SECONDS / max(1e-6, now - last)
        steps = max(1, min(4 * steps, int(steps * rate)))
