"""Exercises of notebook 7: competitive ratio."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ...api import check, simulate
from ...models.instance import Gpu
from ...models.mixed.schedule import MixedSchedule
from ...online.mixed import play_sqrt_adversary
from ..answers import instance as read_instance
from ..answers import near, number
from ..runs import figures, instance_of
from ..verdict import Verdict, exercise, right, wrong
from .optimum import optimal

#: KV capacity of the adversary's game.
M = 256

#: What makes a worst case of the fourth exercise: at least this many times the optimum.
BAD = 1.5


@cache
def burst_at(r: int) -> float:
    """Return the ratio of MC-SF, at least, if the burst comes at round `r`."""
    made = instance_of(
        Gpu(kv_capacity=M), arrival=[0] + [r] * (M // 2), prompt=[1] * (M // 2 + 1),
        output=[M - 1] + [1] * (M // 2),
    )  # fmt: skip
    cost = simulate(made, "mc-sf").metrics.total_latency
    burst_first = check(made, MixedSchedule([r + 1] + [r] * (M // 2))).values["latency"]
    return float(cost / min(cost, burst_first))


@exercise("07.1", asks="the round of the burst that is worst for MC-SF, from 0 to 260")
def worst_round(answer: Any) -> Verdict:
    """Judge a round: no other one may have a larger ratio."""
    found = number(answer)
    if found not in range(261):
        return wrong(f"{found:g} is no whole round from 0 to 260.")
    worst = max(burst_at(r) for r in range(200, M + 1))
    mine = burst_at(int(found))
    if found == M - 8:
        return wrong(
            f"That is the round of the proof, with a ratio of {mine:.3f}. Good enough for the "
            "order of growth, but not the worst: try all rounds."
        )
    if mine < worst - 1e-9:
        return wrong(
            f"At {found:g} the ratio is {mine:.3f}, and there is a worse round. Too early, and the "
            "burst finds room; too late, and it does not wait for long."
        )
    return right(
        f"The ratio there is {mine:.3f}. Waiting time times the number that waits is largest in "
        "between, a little before the round of the proof."
    )


@cache
def mean_cost_of_a_random_start() -> float:
    """Return the mean cost if the long request starts at a random round, the burst fixed."""
    made = play_sqrt_adversary("mc-sf", M).instance
    r = int(made.arrival[-1])
    return float(np.mean([_cost_of_start(k, r, made.n - 1) for k in range(M)]))


def _cost_of_start(k: int, r: int, burst: int) -> int:
    """Cost if the long request starts at `k`, and the burst takes what it leaves from `r` on."""
    total, waiting, t = k + M - 1, burst, r
    while waiting:
        t += 1
        held = 1 + (t - k) if k < t <= k + M - 1 else 0
        served = min(waiting, (M - held) // 2)
        total, waiting = total + served * (t - r), waiting - served
    return total


@exercise("07.2", asks="the mean cost if the long request starts at a random round from 0 to 255")
def cost_of_a_random_start(answer: Any) -> Verdict:
    """Judge a mean cost, up to what a sample of rounds would miss."""
    found = number(answer)
    certain = _cost_of_start(0, int(play_sqrt_adversary("mc-sf", M).instance.arrival[-1]), M // 2)
    if near(found, certain, 0.02):
        return wrong(f"{certain} is what a start at round 0 costs, which the adversary foresees.")
    if not near(found, mean_cost_of_a_random_start(), 0.03):
        return wrong(
            f"Not {found:g}. Keep the adversary's instance as it is, let the long request start at "
            "each round from 0 to 255, and let the burst take what it leaves."
        )
    return right(
        "Far less: the adversary fixes the instance without knowing b, so the burst seldom meets "
        "the last rounds of the long request. The theorem is about deterministic policies."
    )


@exercise("07.3", asks="the largest number of narrow requests beside four wide ones")
def narrow_requests(answer: Any) -> Verdict:
    """Judge the largest number of narrow requests with which MC-SF is optimal."""
    found = number(answer)
    if found not in range(1, 14):
        return wrong(f"{found:g} is no number of narrow requests from 1 to 13.")
    policy, best = _wide_and_narrow(4, int(found))
    if policy > best:
        return wrong(
            f"With {found:g} narrow ones MC-SF has {policy}, and {best:g} is possible. How long do "
            "the wide ones delay the narrow ones, and the narrow ones the wide ones?"
        )
    policy, best = _wide_and_narrow(4, int(found) + 1)
    if policy == best:
        return wrong(f"MC-SF is optimal with {found:g}, and with one more as well.")
    return right(
        "Wide first delays m narrow ones by w rounds, narrow first delays w wide ones by 2: w "
        "cancels, and m against 2 decides."
    )


@cache
def _wide_and_narrow(wide: int, narrow: int) -> tuple[int, float]:
    """Return MC-SF's total latency, and the optimum."""
    n = wide + narrow
    made = instance_of(
        Gpu(kv_capacity=40), arrival=[0] * n, prompt=[39] * wide + [1] * narrow,
        output=[1] * wide + [2] * narrow,
    )  # fmt: skip
    return int(simulate(made, "mc-sf").metrics.total_latency), optimal(made)


@exercise("07.4", asks="a bp.Instance of four requests with M = 9")
def worst_case_of_vllm(answer: Any) -> Verdict:
    """Judge an instance by what the rule evicts and loses on it."""
    made = read_instance(answer)
    if made.n != 4 or made.gpu.kv_capacity != 9:
        return wrong(f"Four requests with M = 9, not {made.n} with M = {made.gpu.kv_capacity}.")
    run, best = figures(made, "vllm"), optimal(made)
    ratio = run.total_latency / best
    if not run.evictions:
        return wrong(
            f"vllm evicts nobody on it, and has {ratio:.3f} times the optimum. It admits what fits "
            "in the next round: let several start that grow past M together."
        )
    if ratio < BAD:
        return wrong(
            f"vllm has {ratio:.3f} times the optimum. A search (find_worst_case) finds at least "
            f"{BAD}: let what is evicted be nearly done."
        )
    return right(
        f"{ratio:.3f} times the optimum, with {run.evictions} evictions: the pattern is "
        "lost work, not a long request in the way. A rule with the future check never evicts."
    )
