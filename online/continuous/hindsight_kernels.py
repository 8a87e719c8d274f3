"""List schedules of a sampled future from a batch boundary on, compiled: cost, and annealing.

A list schedule serves all that runs, and admits in its order, while the order's first that is there
fits: seats, token budget, and a plan in which all complete. It may admit in waves, so that few
others wait for their tokens while prompts are read. Batches of the same requests are
counted at once. Blocks are reckoned half full, and times are rounded once per run of batches: the
schedules are compared with each other, and decisions are checked by the rules themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...models.durations import Durations
from ...models.instance import IntArray
from ...solvers.random_stream import Stream, below, uniform
from .cache_lines import (
    held_by_ready,
    leave,
    plan_line,
    read_prompts,
    sort_by_completion,
    waits,
)


class Scene(NamedTuple):
    """A moment and its future; requests are numbered 0 … n − 1.

    Attributes
    ----------
    arrival, prompt, output : ndarray of int64, shape (n,)
        Of those that run, wait and are to come; lengths as they are in this future.
    tokens, cached, unread : ndarray of int64, shape (n,)
        Output tokens so far, KV tokens held, and tokens to read before the next token.
    running : ndarray of int64
        Requests that hold a cache, in the order in which they began.
    numbers : ndarray of int64, shape (6,)
        Now, KV tokens, tokens of a block, seats, tokens in a batch, whether prompts are chunked.
    law : Durations
        How long batches take.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    tokens: IntArray
    cached: IntArray
    unread: IntArray
    running: IntArray
    numbers: IntArray
    law: Durations


#: Places in `Scene.numbers`.
NOW, KV, BLOCK, SEATS, TOKENS, CHUNKED = range(6)

#: Later, and costlier, than anything.
_NEVER = 2**62

#: Share of annealing steps that change the limit on running requests.
LIMIT_STEPS = 0.15

#: Share of those that change the size of waves.
WAVE_STEPS = 0.1


@njit(cache=True, nogil=True)
def cost_of(scene: Scene, order: IntArray, most: int, wave: int, admitted: IntArray) -> int:
    """Return the total latency of a list schedule.

    Parameters
    ----------
    scene : Scene
        The moment and its future.
    order : ndarray of int64
        Requests without a cache, the first to be admitted first.
    most : int
        Most requests that run at once, ≥ 1.
    wave : int
        How many fewer than `most` run when a wave of admissions begins, ≥ 1; it goes on while
        requests are admitted or read their prompts. 1 for no waves.
    admitted : ndarray of int64
        Filled with those that are admitted in the first batch, then −1.
    """
    s, o, law = scene.prompt, scene.output, scene.law
    now, kv, block, chunked = (
        scene.numbers[NOW], scene.numbers[KV], scene.numbers[BLOCK], scene.numbers[CHUNKED],
    )  # fmt: skip
    seats, budget = min(most, scene.numbers[SEATS]), scene.numbers[TOKENS]
    n = s.size
    tokens, unread = scene.tokens.copy(), scene.unread.copy()
    # Active requests by completion; the cache of one is base + e after batch e.
    active, last, base = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    reading = np.empty(n, np.int64)
    inside = np.zeros(n, np.bool_)
    k = r = batch = total = first = 0
    admitted[:] = -1
    for place in range(scene.running.size):
        i = scene.running[place]
        inside[i] = True
        if unread[i] > 0:
            reading[r] = i
            r += 1
        else:
            base[i], last[i] = scene.cached[i], max(1, o[i] - tokens[i])
        active[k] = i
        k += 1
    head = 0
    is_open = r > 0
    while True:
        is_open = is_open or k == 0 or k <= seats - wave
        before = k
        ready = k - r
        left = budget - ready
        per = max(1, left)
        for place in range(r):
            plan_line(reading[place], s, o, tokens, unread, base, last, batch, per)
        sort_by_completion(active, k, last)
        spare = left
        for place in range(r):
            spare -= min(spare, unread[reading[place]])
        while head < order.size and inside[order[head]]:
            head += 1
        wait = 0
        for turn in range(head if is_open else order.size, order.size):
            i = order[turn]
            if inside[i] or scene.arrival[i] > now:
                continue
            if k >= seats or spare <= 0 or (chunked == 0 and unread[i] > spare):
                break
            plan_line(i, s, o, tokens, unread, base, last, batch, per)
            active[k] = i
            if k > 0:  # alone it fits, whatever half a block is reckoned for it
                wait = waits(active, k + 1, last, base, kv, block, batch)
            if wait > 0:
                break
            inside[i] = True
            k += 1
            sort_by_completion(active, k, last)
            reading[r] = i
            r += 1
            spare -= min(spare, unread[i])
            if batch == 0:
                admitted[first] = i
                first += 1
        is_open = k > before or r > 0 or wave == 1
        later = _NEVER
        for turn in range(head if is_open or k == 0 else order.size, order.size):
            if not inside[order[turn]] and scene.arrival[order[turn]] > now:
                later = min(later, scene.arrival[order[turn]])
        if k == 0:
            if later == _NEVER:
                return total
            now = later
            continue
        held = held_by_ready(active, k, unread, base)
        if r > 0:
            batch += 1
            work = law.token if ready > 0 else law.prompt
            p, r = read_prompts(reading, r, max(left, 1), s, o, tokens, unread, base, last, batch)
            work += law.per_prompt_token * p + law.per_token_job * ready
            work += law.per_kv_token * (held + ready * batch)
            now -= -work // law.divisor
        else:
            m = max(1, last[active[0]] - batch)
            if wait > 0:
                m = min(m, wait)
            step = law.token + law.per_token_job * ready
            if later < _NEVER:
                m = _batches_until(
                    later - now, m, law.divisor, step + law.per_kv_token * (held + ready * batch),
                    law.per_kv_token * ready,
                )  # fmt: skip
            work = m * (step + law.per_kv_token * (held + ready * batch))
            work += law.per_kv_token * ready * (m * (m + 1) // 2)
            now -= -work // law.divisor
            batch += m
        k, gone = leave(active, k, unread, last, batch, scene.arrival, now)
        total += gone


@njit(cache=True, nogil=True)
def _batches_until(time: int, most: int, divisor: int, step: int, growth: int) -> int:
    """Return the least m with m·step + growth·m(m + 1)/2 ≥ time·divisor, at most `most`."""
    low, high = 1, most
    while low < high:
        m = (low + high) // 2
        if m * step + growth * (m * (m + 1) // 2) >= time * divisor:
            high = m
        else:
            low = m + 1
    return low


@njit(cache=True, nogil=True)
def best_of(
    scene: Scene, orders: IntArray, limits: IntArray, waves: IntArray, found: IntArray
) -> int:
    """Try orders, shape (c, m), with each of some limits and waves; return the least cost.

    `found` gets the number of the order, the limit and the wave.
    """
    best = _NEVER
    admitted = np.empty(orders.shape[1], np.int64)
    for row in range(orders.shape[0]):
        for most in limits:
            for wave in waves:
                if wave > max(1, most):
                    continue
                cost = cost_of(scene, orders[row], most, wave, admitted)
                if cost < best:
                    best = cost
                    found[0], found[1], found[2] = row, most, wave
    return best


@njit(cache=True, nogil=True)
def anneal(
    scene: Scene,
    order: IntArray,
    most: int,
    wave: int,
    fixed: int,
    steps: int,
    heat: tuple[float, float],
    stream: Stream,
) -> tuple[IntArray, int, int, int]:
    """Anneal over orders, limits and waves, the first `fixed` in their places; return the best.

    A step moves a request to another place, more often to the front, swaps two, or changes the
    limit or the wave.
    """
    m, seats = order.size, scene.numbers[SEATS]
    admitted = np.empty(m, np.int64)
    here, best = order.copy(), order.copy()
    cost = cost_of(scene, here, most, wave, admitted)
    best_cost, best_most, best_wave = cost, most, wave
    trial = here.copy()
    free = m - fixed
    for step in range(steps):
        limit, size = most, wave
        trial[:] = here
        v = uniform(stream)
        if v < LIMIT_STEPS or free < 2:
            limit = min(seats, max(1, most + below(stream, 7) - 3))
        elif v < LIMIT_STEPS + WAVE_STEPS:
            size = min(limit, max(1, wave + below(stream, 2 * (wave // 2) + 3) - wave // 2 - 1))
        else:
            u = uniform(stream)
            to = fixed + int(u * u * free)
            at = fixed + below(stream, free)
            i = trial[at]
            if uniform(stream) < 0.5:
                trial[at], trial[to] = trial[to], i
            elif at > to:
                trial[to + 1 : at + 1] = here[to:at]
                trial[to] = i
            else:
                trial[at:to] = here[at + 1 : to + 1]
                trial[to] = i
        now = cost_of(scene, trial, limit, size, admitted)
        hot = heat[0] * (heat[1] / heat[0]) ** (step / max(1, steps))
        if now <= cost or uniform(stream) < np.exp((cost - now) / max(hot, 1e-9)):
            here[:] = trial
            most, wave, cost = limit, size, now
            if cost < best_cost:
                best[:] = here
                best_cost, best_most, best_wave = cost, most, wave
    return best, best_most, best_wave, best_cost
