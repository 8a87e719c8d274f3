"""Shrink an instance to a minimal one that is as bad: fewer requests, then smaller numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...models.instance import Instance
from ..judged import Judged
from .space import LIMITS, Space, with_limit

Judge = Callable[[Instance, float], Judged | None]


def shrink(
    worst: Judged, space: Space, judge: Judge, *, at_least: Fraction, stop: Callable[[], bool]
) -> Judged:
    """Take away what the ratio does not need, until nothing more can be taken.

    Parameters
    ----------
    worst : Judged
        What to shrink, of a ratio of at least `at_least`.
    space : Space
        Where it comes from.
    judge : callable
        ``judge(instance, above)``, see `judge.judge`.
    at_least : Fraction
        The ratio to keep.
    stop : callable
        Asked before each attempt; True ends the shrinking.

    Returns
    -------
    Judged
        A ratio of at least `at_least` on a smaller instance: dropping any one request, or lowering
        any one number by one, by half or to the least, loses it (unless `stop` ended the
        shrinking).
    """
    smaller: Judged | None = worst
    while smaller is not None:
        worst = smaller
        smaller = None
        for candidate in _smaller(worst.instance, space):
            if stop():
                return worst
            judged = judge(candidate, float(at_least) * (1 - 1e-12))  # the exact test follows
            if judged is not None and judged.ratio >= at_least:
                smaller = judged
                break
    return worst


def _smaller(instance: Instance, space: Space) -> Iterator[Instance]:
    """Yield smaller instances, the smallest first."""
    columns = instance.arrival, instance.prompt, instance.output
    if instance.n > 1:
        for i in range(instance.n):
            yield space.instance(*(np.delete(column, i) for column in columns), gpu=instance.gpu)
    yield from _with_fewer_limits(instance, space)
    for which, least in ((0, 0), (2, 1), (1, 1)):
        for value in np.unique(columns[which]).tolist():
            for lower in dict.fromkeys((least, value // 2, *_steps_below(value, which, space))):
                if least <= lower < value:
                    alike = columns[which] == value
                    yield _with(instance, which, alike, lower, space)
                    for i in np.flatnonzero(alike).tolist():
                        yield _with(instance, which, i, lower, space)


def _with_fewer_limits(instance: Instance, space: Space) -> Iterator[Instance]:
    """Yield the instance with a limit of its own given up."""
    columns = instance.arrival, instance.prompt, instance.output
    for name in LIMITS:
        loosest = getattr(space.whole_gpu, name)
        if getattr(instance.gpu, name) != loosest:
            yield space.instance(*columns, gpu=with_limit(instance.gpu, name, loosest))


def _steps_below(value: int, which: int, space: Space) -> Iterator[int]:
    """Yield lower values: by one, and of times in microseconds first by powers of two."""
    if which == 0 and space.counts_microseconds:
        yield from (value - 2**k for k in range(max(1, value).bit_length() - 2, 0, -1))
    yield value - 1


def _with(
    instance: Instance,
    which: int,
    where: int | NDArray[np.bool_],
    value: int,
    space: Space,
) -> Instance:
    changed = [instance.arrival.copy(), instance.prompt.copy(), instance.output.copy()]
    changed[which][where] = value
    return space.instance(*changed, gpu=instance.gpu)
