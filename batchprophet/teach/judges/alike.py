"""Exercises of notebook 12: equal requests."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ...models.instance import Gpu, Instance
from ...models.mixed.feasibility import check_mixed
from ...models.mixed.schedule import MixedSchedule
from ..answers import listed, number
from ..runs import figures, instance_of
from ..verdict import Verdict, exercise, right, wrong

#: Requests (s, o) of the notebook, and its KV capacity.
PROMPT, OUTPUT, M = 8, 40, 144

#: The capacity of the first exercise, the requests of the second, the most of the third.
LARGER, BURST, MOST = 200, 40, 60


def burst(n: int) -> Instance:
    """Return n of the notebook's requests, all there at 0."""
    return instance_of(Gpu(kv_capacity=M), [0] * n, [PROMPT] * n, [OUTPUT] * n)


def tokens(d: int) -> int:
    """Tokens held at a completion, if one starts every d rounds."""
    return sum(PROMPT + OUTPUT - j * d for j in range(-(-OUTPUT // d)))


def periodic(n: int, d: int) -> int:
    """Total latency of n requests, one start every d rounds."""
    return n * OUTPUT + d * n * (n - 1) // 2


@exercise("12.1", asks="the smallest number of rounds between two starts")
def smallest_spacing(answer: Any) -> Verdict:
    """Judge a spacing by what is held at a completion, with it and with one less."""
    found = number(answer)
    if found != int(found) or not 1 <= found <= OUTPUT:
        return wrong(f"{found:g} is no number of rounds from 1 to {OUTPUT}.")
    d = int(found)
    if tokens(d) > LARGER:
        return wrong(f"Every {d} rounds: {tokens(d)} tokens are held at a completion.")
    if d > 1 and tokens(d - 1) <= LARGER:
        return wrong(f"Every {d - 1} rounds, {tokens(d - 1)} tokens are held: these fit, too.")
    return right(
        f"{tokens(d)} tokens are held at a completion, and {tokens(d - 1)} with one round less. In "
        f"step {LARGER // (PROMPT + OUTPUT)} complete in {OUTPUT} rounds, so {OUTPUT // d} instead."
    )


@exercise("12.2", asks=f"the start rounds of {BURST} requests")
def better_than_periodic(answer: Any) -> Verdict:
    """Judge a schedule by the checker and by its total latency."""
    starts = listed(answer, BURST)
    if any(k != int(k) or k < 0 for k in starts):
        return wrong("Starts are whole rounds, from 0 on.")
    instance = burst(BURST)
    schedule = MixedSchedule(np.array(starts, np.int64))
    violations = check_mixed(instance, schedule)
    if violations:
        return wrong(f"That does not fit: {violations[0].message}")
    total, limit = int(schedule.completion(instance).sum()), periodic(BURST, 10)
    if total >= limit:
        return wrong(f"The total latency is {total}; one start every ten rounds has {limit}.")
    in_step = figures(instance, "mc-sf").total_latency
    return right(f"The total latency is {total}; MC-SF has {in_step:g}.")


@cache
def in_step(n: int) -> int:
    """Total latency of MC-SF."""
    return int(figures(burst(n), "mc-sf").total_latency)


@exercise("12.3", asks="the least number of requests from which on ten rounds apart is better")
def least_number(answer: Any) -> Verdict:
    """Judge a number by both totals from there on, and for one request less."""
    found = number(answer)
    if found != int(found) or not 1 <= found <= MOST:
        return wrong(f"{found:g} is no number of requests from 1 to {MOST}.")
    n = int(found)
    for each in range(n, MOST + 1):
        if periodic(each, 10) >= in_step(each):
            return wrong(f"{each} requests: {in_step(each)} in step, {periodic(each, 10)} apart.")
    if periodic(n - 1, 10) < in_step(n - 1):
        return wrong(f"{n - 1} are better apart, too, and all larger numbers.")
    return right(
        f"{n} requests have {in_step(n)} in step and {periodic(n, 10)} apart; {n - 1} are no "
        "better apart."
    )
