"""The cheapest profiles under prices for the length of batches, from the data alone.

`batch_length_prices` says how the floating-point numbers are made safe.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.batch_time import AffineTime
from ....models.instance import FloatArray, Instance, IntArray
from ....models.objectives import due_times
from ..clock import Clock

#: By how much shares that fit are raised, and charges for lengths are lowered.
_RAISED, _LOWERED = 1e-9, 1e-11


class Facts(NamedTuple):
    """The instance in numbers for compiled code.

    Attributes
    ----------
    law : ndarray of float64, shape (10,)
        c0, least intercept with prompts, c1, c2, c3, B, C, M, the most work of a batch, the largest
        cache.
    a, s, o, weight, late : ndarray of float64, shape (n,)
        Arrivals from the first on, prompts, outputs, what a unit of time costs, and the first
        interval in which it does.
    token : ndarray of float64, shape (5, n)
        What is charged for token jobs: share of c0, c2, c3, whether length is charged, and what
        prefilling again is spared.
    least : ndarray of float64, shape (n,)
        Work of each request's smallest job.
    delta, G : float
        Interval, and tokens in a level.
    m : int
        Most levels that a request moves in an interval.
    """

    law: FloatArray
    a: FloatArray
    s: FloatArray
    o: FloatArray
    weight: FloatArray
    late: FloatArray
    token: FloatArray
    least: FloatArray
    delta: float
    G: float
    m: int


def facts_of(instance: Instance, interval: int, tokens: int, objective: str) -> Facts:
    """Return an instance's numbers for intervals and levels of a length."""
    first = int(instance.arrival.min())
    late = [0] * instance.n
    if objective == "tardiness":  # a part of an interval before the deadline makes all of it free
        late = [max(0, -(-(d - first) // interval)) for d in due_times(instance).tolist()]
    # A copy, since code for arrays that are read-only is compiled anew.
    weight = np.ones(instance.n) if objective == "latency" else instance.weight.copy()
    gpu, time = instance.gpu, instance.gpu.batch_time
    if isinstance(time, AffineTime):
        own = time.c0 if time.c0_prompt is None else time.c0_prompt
        c0, own, c1, c2, c3 = (
            round(Fraction(repr(x)) * 10**9) / 1e6
            for x in (time.c0, own, time.c1, time.c2, time.c3)
        )
    else:
        c0, own, c1, c2, c3 = 1.0, 1.0, 0.0, 0.0, 0.0
    s, o = instance.prompt.astype(float), instance.output.astype(float)
    n = instance.n
    B = float(n if gpu.running_requests is None else min(n, gpu.running_requests))
    C = float((s + o).sum() if gpu.batch_tokens is None else min((s + o).sum(), gpu.batch_tokens))
    M = float(gpu.kv_capacity // gpu.kv_block * gpu.kv_block)
    M = min(M, float(np.sort(s + o)[::-1][: int(B)].sum()))  # no more is ever held
    most = max(c1, c2) * min(C, M) + c3 * M + max(0.0, own - c0) + 1.0
    own = min(own, c0)
    per_kv = np.full(n, min(c1, c3))
    per_job = np.minimum(c2, (c1 - per_kv) * (s + 1))
    whole = np.ones(n)
    spared = np.zeros(n)
    intercept = np.full(n, c0)
    if own < c0:
        whole = (c1 * (s + 1) >= per_job + per_kv * (s + 1) + c0).astype(float)
        intercept = np.where(whole > 0, c0, own)
        spared = whole * c0
    least = np.minimum(np.where(o > 1, c2 + c3 * (s + 1), np.inf), c1 * np.minimum(s, C))
    fastest = float(min((c0 + c2 + c3 * (s + 1)).min(), (own + c1 * (s + 1)).min()))
    m = int(min(interval * (1 + 1e-6) / (fastest * tokens), 2.0**40)) + 1
    return Facts(
        np.array([c0, own, c1, c2, c3, B, C, M, most, float((s + o).max())]),
        (instance.arrival - instance.arrival.min()).astype(float),
        s,
        o,
        weight,
        np.array(late, dtype=float),
        np.stack([intercept, per_job, per_kv, whole, spared]),
        np.maximum(least, 1e-12),
        float(interval),
        float(tokens),
        m,
    )


def steps_of(facts: Facts, K: int) -> float:
    """Return how many steps a verification takes, about."""
    levels = np.ceil((facts.o - 1) / facts.G) + 1
    moves = np.minimum(levels, facts.m)
    return float(K) * (float((levels * moves).sum()) + facts.m * (facts.a.size + 16.0))


def profiles_cost(facts: Facts, prices: FloatArray, shares: FloatArray, clock: Clock) -> float:
    """Return a lower bound on the sum of the cheapest profiles' costs.

    `prices` has rows L, M·ν, B·σ, κ, γ, μ.
    """
    K = prices.shape[1]
    lines = np.zeros((K, 4, facts.m + 1))
    for k in range(K):
        clock.check()
        charge_lengths(facts, prices[3:, k], shares[:, k], lines[k])
    total = np.zeros(facts.a.size)
    for i in range(facts.a.size):
        clock.check()
        total[i] = profile_cost(facts, prices, shares[i], lines, i, clock.expired)
    clock.check()
    return math.fsum(total) * (1 - 1e-15)


@njit(cache=True)
def _fit(
    facts: Facts, common: FloatArray, own: FloatArray, order: IntArray, V: float
) -> tuple[float, float]:
    """Return the most shares in a batch of work V, and a slope beyond it, raised."""
    _, _, c1, c2, c3, B, C, M, _, longest = facts.law
    value = slope = 0.0
    left = V
    for i in order:
        if own[i] <= 0:
            break
        if facts.least[i] > left:
            value += own[i] * left / facts.least[i]
            slope += own[i] / facts.least[i]
            break
        left -= facts.least[i]
        value += own[i]
    left, jobs = V, 0.0
    for w in np.sort(facts.least)[: int(B)]:
        if w > left:
            jobs += left / w
            slope += common[0] / (B * w)
            break
        left -= w
        jobs += 1
    value += common[0] * jobs / B
    full = C * min(c1, facts.least.min())
    if full <= V:
        value += common[1]
    else:
        value += common[1] * V / full
        slope += common[1] / full
    full = M * min(c1, c3 + c2 / longest)
    if full <= V:
        value += common[2]
    else:
        value += common[2] * V / full
        slope += common[2] / full
    return value * (1 + _RAISED) + _RAISED * 1e-3, slope


@njit(cache=True)
def _line(
    facts: Facts, common: FloatArray, own: FloatArray, order: IntArray, r: float
) -> tuple[float, float]:
    """Return slope and height of the tangent of c0·r·(1 − S)/V at a rate, lowered."""
    c0 = facts.law[0]
    room = max(facts.least.min(), 1e-3 * c0)
    r = min(r, 1 / (c0 + room))
    V = 1 / r - c0
    S, S1 = _fit(facts, common, own, order, V)
    ratio = c0 * r / V
    first, second = (1 - S) * (ratio / r + c0 / (r * V * V)), S1 * c0 / (r * V)
    slope = first + second
    height = slope * r - (1 - S) * ratio
    size = (abs(1 - S) * (ratio / r + c0 / (r * V * V)) + second) * r + abs(1 - S) * ratio
    return slope * (1 - _LOWERED), height + 4 * _LOWERED * size


@njit(cache=True)
def charge_lengths(facts: Facts, common: FloatArray, own: FloatArray, out: FloatArray) -> None:
    """Write charges by levels moved, slopes and heights of tangents from the slowest on, and drops.

    A drop is how far below 0 the lines that meet at some levels begin, at least.
    """
    m, step = facts.m, facts.G / facts.delta
    order = np.argsort(-own / facts.least)
    most = facts.law[8]
    S, _ = _fit(facts, common, own, order, most)
    sigma = max(0.0, facts.law[0] * (1 - S) / most) * (1 - _LOWERED)
    moved, slope, height, drop = out
    slope[0], moved[1] = sigma, sigma * facts.G
    for j in range(m):
        a, b = _line(facts, common, own, order, (j + 0.5) * step)
        at = (j + 0.5) * step
        if a * at - b <= sigma * at or b < 0:
            a, b = sigma, 0.0
        if a < slope[j] or b < height[j]:  # rounding, at most
            a, b = slope[j], height[j]
        slope[j + 1], height[j + 1] = a, b
        if j == 0:
            continue
        down = facts.delta * (a * j * step - b)
        if down < 0.7 * moved[j]:
            a, b = _line(facts, common, own, order, j * step)
            if a * at - b <= sigma * at:
                a, b = sigma, 0.0
            down = facts.delta * (a * j * step - b)
        size = 4 * _LOWERED * facts.delta * (a * (j + 1) * step + abs(b))
        moved[j] = min(moved[j], down - size)
        moved[j + 1] = facts.delta * (a * (j + 1) * step - b) - size
        drop[j] = min(drop[j], facts.delta * b)
        drop[j + 1] = facts.delta * b


@njit(cache=True)
def _best_rate(
    cost: float, long: float, pace: float, slope: FloatArray, height: FloatArray
) -> float:
    """Return the least (cost + long·E(r))/r for r up to 1/pace: where two tangents meet."""
    last = slope.size - 1
    low, high = 0, last  # height does not fall
    while low < high:
        middle = (low + high + 1) // 2
        if long * height[middle] <= cost:
            low = middle
        else:
            high = middle - 1
    time = pace
    if low < last and height[low + 1] > height[low]:
        time = max(time, (slope[low + 1] - slope[low]) / (height[low + 1] - height[low]))
    return float((cost - long * height[low]) * time + long * slope[low])


@njit(cache=True)
def _part(
    m: int, room: float, time: float, long: float, moved: float, drop: float, each: float,
    steep: float,
) -> float:  # fmt: skip
    """Return what m levels pay in `room` of an interval at most: `each` at the best rate.

    A line of E that begins below 0 by `steep` is least where all the time is used.
    """
    if m == 0:
        return 0.0
    full = room * time + long * (moved + (1 - room) * drop)
    if drop * (1 - _RAISED) >= steep:
        return full
    return min(full, each * m)


@njit(cache=True)
def _steep(time: float, long: float, time_next: float, long_next: float) -> float:
    """Return what a drop must reach at a level and at the next."""
    if long <= 0 or long_next <= 0:
        return np.inf
    return max(time / long, time_next / long_next)


@njit(cache=True)
def _kv_read(s: float, emitted: float) -> float:
    return (emitted - 1) * s + emitted * (emitted - 1) / 2


@njit(cache=True)
def profile_cost(
    facts: Facts,
    prices: FloatArray,
    theta: FloatArray,
    lines: FloatArray,
    i: int,
    expired: IntArray,
) -> float:
    """Return a lower bound on the cost of a request's cheapest profile."""
    c0, own, c1, c2, c3, B, C, M, _, _ = facts.law
    delta, G, K = facts.delta, facts.G, theta.size
    a, s, o, begins = facts.a[i], facts.s[i], facts.o[i], facts.late[i]
    w = facts.weight[i] if begins <= K else 0.0
    base, job, read, whole, spared = facts.token[:, i]
    N = math.ceil((o - 1) / G)
    first = (o - 1) / G - (N - 1) if N > 0 else 1.0
    kv, before, sums = np.empty(N + 1), np.empty(N + 1), np.empty(N + 1)
    alone, pace, again, bend = np.empty(N + 1), np.empty(N + 1), np.empty(N + 1), np.zeros(N + 1)
    token, repeat = c0 + c2 + c3 * (s + 1), own + c1 * (s + 1)
    for x in range(N + 1):
        y = o - G * (N - x)
        kv[x] = s + y - 1
        before[x] = s + max(1.0, y - G)
        sums[x] = _kv_read(s, max(y, 1.0))
        if repeat >= token and c1 >= c3:
            alone[x] = (c0 + c2) * (o - max(y, 1.0)) + c3 * (_kv_read(s, o) - sums[x])
        else:
            alone[x] = min(token, repeat) * (o - max(y, 1.0))
        pace[x] = min(c0 + c2 + c3 * before[x], own + c1 * before[x]) * (1 - 1e-14)
        again[x] = (c1 - read) * (s + y) - job - spared
        if x < N and G > 1:
            bend[x] = G * G / 8 if x < N - 1 else G * G / 2
    if N > 0:
        y = o - G * (N - 1)  # at level 1; level 0 lies on the line from it through the start
        far, near = G, y - 1
        sums[0] = sums[1] - sums[1] * far / near
        alone[0] = alone[1] + (alone[0] - alone[1]) * far / near
        if again[0] < 0:
            again[0] = 0.0
            lowest = max(0.0, (c1 - read) * (s + 1) - job - spared)
            again[1] = min(again[1], lowest * G / (G - near)) if near < G else 0.0
    chunks = s / min(s, C)
    prompt_time = own * chunks + c1 * s
    begin = int(a // delta)
    H, D = w * alone, w * alone
    W = w * (prompt_time + first * alone[0] + (1 - first) * alone[min(1, N)])
    largest = W
    if begin >= K:
        return float(W * (1 - 1e-12))
    kv_price = prices[0] * (read + base * prices[5] / M)
    for x in range(N):
        H[x] -= kv_price[K - 1] * bend[x]
        D[x] = H[x]
    enter, dropped, run = np.empty(N + 1), np.empty(N + 1), np.empty(N + 1)
    end, end_late = np.empty(N + 1), np.empty(N + 1)
    long, light, start = np.empty(N + 1), np.empty(N + 1), np.empty(2)
    moves = min(facts.m, int(delta * (1 + 1e-6) / (pace[0] * G)) + 1)
    for k in range(K - 1, begin - 1, -1):
        if expired[0] == 1:
            return 0.0
        w = facts.weight[i] if k >= begins else 0.0
        L, nu, sigma = prices[0, k], prices[1, k] / M, prices[2, k] / B
        share = theta[k] + prices[3, k] / B
        per_token = L * (job + base * (share + prices[4, k] / C)) * G
        moved, slope, height, drop = lines[k]
        chunk = L * (1 + slope[0] * own / c0)
        reading = chunk * c1 * s
        reading += L * own * (chunks * share + s * (prices[4, k] / C + prices[5, k] / M))
        length = delta if k > begin else (k + 1) * delta - a
        room = 1.0 if length >= delta else max(0.0, length - prompt_time) / delta
        bent = max(0.0, kv_price[k - 1] - kv_price[k]) if k > begin else 0.0
        start[0] = start[1] = w * min(length, prompt_time) if N == 0 else np.inf
        if N == 1:
            start[1] = w * min(length, prompt_time)
        for x in range(N + 1):
            long[x] = L * whole * (job + read * before[x])
            light[x] = delta * (nu * (before[x] - 1) + sigma)
        for x in range(N):
            hold = delta * (w + nu * kv[x] + sigma)
            square = nu * G * G * pace[x] / 2
            late = G * _best_rate(light[x] / delta, long[x], pace[x], slope, height)
            steep = _steep(light[x], long[x], light[x + 1], long[x + 1])
            now, paid = sums[x], 0.0
            run[x] = enter[x] = dropped[x] = end[x] = end_late[x] = np.inf
            for y in range(x, min(N, x + moves) + 1):
                m = y - x
                paid = per_token * m + kv_price[k] * (sums[y] - now)
                c = long[x] * moved[m]
                squares = m * m - 0.25 if m > 1 else 0.0
                part = _part(m, 1.0, light[x], long[x], moved[m], drop[m], late, steep)
                early = part
                if room < 1 and x < 2:
                    early = np.inf
                    if m <= int(room * delta * (1 + 1e-6) / (pace[x] * G)) + 1:
                        early = _part(
                            m, room, light[x], long[x], moved[m], drop[m], late, steep
                        )  # fmt: skip
                if y < N:
                    run[x] = min(run[x], hold + c + square * squares + paid + H[y])
                    enter[x] = min(enter[x], part + paid + H[y])
                    dropped[x] = min(dropped[x], part + paid + D[y])
                    if x < 2:
                        start[x] = min(start[x], w * length + early + paid + H[y])
                else:
                    each = G * _best_rate(w + light[x] / delta, long[x], pace[x], slope, height)
                    last = _steep(
                        w * delta + light[x], long[x], w * delta + light[x + 1], long[x + 1]
                    )  # fmt: skip
                    close = _part(
                        m, 1.0, w * delta + light[x], long[x], moved[m], drop[m], each, last
                    )  # fmt: skip
                    end[x] = close + paid
                    end_late[x] = min(close, w * delta + part) + paid
                    if x < 2 and early < np.inf:
                        close = _part(
                            m, room, w * delta + light[x], long[x], moved[m], drop[m], each, last
                        )  # fmt: skip
                        on = min(w * prompt_time + close, w * length + early)
                        start[x] = min(start[x], on + paid)
                largest = max(largest, abs(paid) + abs(now) * kv_price[k])
            largest = max(largest, hold)
        going = reading + first * start[0] + ((1 - first) * start[1] if first < 1 else 0.0)
        W = min(w * length + W, going)
        for x in range(N):
            back = chunk * again[x] + min(w * delta + enter[x], end_late[x])
            back = min(w * delta + D[x], back)
            H[x] = min(min(run[x], end[x]), min(w * delta + dropped[x], back)) - bent * bend[x]
            D[x] = back - bent * bend[x]
            largest = max(largest, max(abs(H[x]), abs(D[x])))
        H[N] = D[N] = 0.0
        largest = max(largest, max(reading, abs(W)))
    return float(W - 1e-12 * (K + 1) * largest)
