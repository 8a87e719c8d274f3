"""Waves of admission, compiled: what a continuation costs, and the best one of a grid.

A continuation serves all that runs. It admits requests in waves: one begins when so large a share
of the requests that ran at the end of the last one has completed, and ends when the next in turn
is refused by the limit on running requests or by the KV memory. A setting is that share, the limit,
and the prompt tokens of a batch; a continuation has one for its first wave, and one for the later
ones. Blocks are reckoned half full and times rounded once per run of batches, as in
`hindsight_kernels`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...models.instance import IntArray
from .cache_lines import (
    held_by_ready,
    leave,
    plan_line,
    read_prompts,
    sort_by_completion,
    waits,
)
from .hindsight_kernels import BLOCK, KV, NOW, TOKENS, Scene

#: Shares of the running requests that have completed when a wave begins, in percent.
SHARES = (0, 5, 10, 15, 25, 38, 50, 62, 75, 80, 85, 90, 95)

#: Limits on running requests, in percent of the seats.
LIMITS = (100, 88, 75, 62, 50, 38, 25)

#: What the prompt tokens of a batch are divided by.
DIVISORS = (1, 4, 8, 16)

#: Waiting requests that a continuation serves; the others wait until it ends.
MOST_WAITING = 256

#: Places in a setting.
SHARE, LIMIT, PROMPT_TOKENS = range(3)


class Grid(NamedTuple):
    """Values that a setting may take.

    Attributes
    ----------
    shares, limits, prompt_tokens : ndarray of int64
        In percent; requests; tokens.
    """

    shares: IntArray
    limits: IntArray
    prompt_tokens: IntArray


def grid_of(seats: int, prompt_tokens: int, chunked: bool) -> Grid:
    """Return the grid under limits; prompts that are not read in chunks need the widest batch.

    Examples
    --------
    >>> grid = grid_of(128, 2048, True)
    >>> grid.limits.tolist(), grid.prompt_tokens.tolist()
    ([128, 112, 96, 79, 64, 48, 32], [2048, 512, 256, 128])
    """
    divisors = DIVISORS if chunked else (1,)
    return Grid(
        np.array(SHARES),
        np.array([max(1, seats * part // 100) for part in LIMITS]),
        np.array([max(1, prompt_tokens // divisor) for divisor in divisors]),
    )


@njit(cache=True, nogil=True)
def choose(
    scene: Scene,
    outputs: IntArray,
    admits: bool,
    peak: int,
    beyond: int,
    grid: Grid,
    setting: IntArray,
) -> None:
    """Move a pair of settings to the best of the grid, one coordinate after the other.

    While a wave goes on, only its prompt tokens are chosen anew.

    Parameters
    ----------
    scene : Scene
        Requests that run, then those that wait, in their order of admission; its outputs are not
        read.
    outputs : ndarray of int64, shape (samples, n)
        Output lengths to reckon with, longer than the tokens so far; the sum of costs counts.
    admits : bool
        Whether a wave goes on.
    peak : int
        Requests that ran at the end of the last wave.
    beyond : int
        Requests that wait beside those of the scene.
    grid : Grid
        Values to try.
    setting : ndarray of int64, shape (2, 3)
        Places in the grid, of the next wave and of the later ones; changed in place. Of equal
        costs the setting that was there counts, then the first.
    """
    sizes = (grid.shares.size, grid.limits.size, grid.prompt_tokens.size)
    best = _cost(scene, outputs, admits, peak, beyond, grid, setting)
    for wave in range(2):
        for part in range(3):
            if admits and (wave > 0 or part != PROMPT_TOKENS):
                continue
            there = kept = setting[wave, part]
            for value in range(sizes[part]):
                if value == there:
                    continue
                setting[wave, part] = value
                cost = _cost(scene, outputs, admits, peak, beyond, grid, setting)
                if cost < best:
                    best, kept = cost, value
            setting[wave, part] = kept


@njit(cache=True, nogil=True)
def _cost(
    scene: Scene,
    outputs: IntArray,
    admits: bool,
    peak: int,
    beyond: int,
    grid: Grid,
    setting: IntArray,
) -> int:
    """Return the total latency of a continuation, summed over the samples."""
    values: IntArray = np.empty((2, 3), np.int64)
    for wave in range(2):
        values[wave, SHARE] = grid.shares[setting[wave, SHARE]]
        values[wave, LIMIT] = grid.limits[setting[wave, LIMIT]]
        values[wave, PROMPT_TOKENS] = grid.prompt_tokens[setting[wave, PROMPT_TOKENS]]
    total = 0
    for sample in range(outputs.shape[0]):
        total += wave_cost(scene, outputs[sample], values, admits, peak, beyond)
    return total


@njit(cache=True, nogil=True)
def wave_cost(
    scene: Scene, o: IntArray, values: IntArray, admits: bool, peak: int, beyond: int
) -> int:
    """Return the total latency of a continuation.

    Parameters
    ----------
    scene : Scene
        All have arrived; requests that run come first, then the others in their order.
    o : ndarray of int64, shape (n,)
        Output lengths.
    values : ndarray of int64, shape (2, 3)
        Share, limit and prompt tokens of the next wave, and of the later ones.
    admits, peak, beyond
        As in `choose`.
    """
    s, law = scene.prompt, scene.law
    now, kv, block = scene.numbers[NOW], scene.numbers[KV], scene.numbers[BLOCK]
    n, began = s.size, scene.running.size
    tokens, unread = scene.tokens, scene.unread.copy()
    active, last, base = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    reading = np.empty(n, np.int64)
    k = r = batch = total = wave = 0
    for i in range(began):
        if unread[i] > 0:
            reading[r] = i
            r += 1
        else:
            base[i], last[i] = scene.cached[i], max(1, o[i] - tokens[i])
        active[k] = i
        k += 1
    head = began
    while True:
        ready = k - r
        left = min(values[wave, PROMPT_TOKENS], scene.numbers[TOKENS] - ready)
        per = max(1, left)
        for place in range(r):
            plan_line(reading[place], s, o, tokens, unread, base, last, batch, per)
        sort_by_completion(active, k, last)
        spare = left
        for place in range(r):
            spare -= min(spare, unread[reading[place]])
        admits = admits or k * 100 <= (100 - values[wave, SHARE]) * peak
        while admits and head < n and (spare > 0 or k >= values[wave, LIMIT]):
            refused = k >= values[wave, LIMIT]
            if not refused:
                plan_line(head, s, o, tokens, unread, base, last, batch, per)
                active[k] = head
                refused = k > 0 and waits(active, k + 1, last, base, kv, block, batch) > 0
            if refused:
                admits, peak, wave = False, k, 1
                break
            k += 1
            sort_by_completion(active, k, last)
            reading[r] = head
            r += 1
            spare -= min(spare, unread[head])
            head += 1
        if k == 0:
            return int(total + beyond * now)
        held = held_by_ready(active, k, unread, base)
        if r > 0:
            batch += 1
            work = law.token if ready > 0 else law.prompt
            p, r = read_prompts(reading, r, per, s, o, tokens, unread, base, last, batch)
            work += law.per_prompt_token * p + law.per_token_job * ready
            now -= -(work + law.per_kv_token * (held + ready * batch)) // law.divisor
        else:
            m = max(1, last[active[0]] - batch)
            step = law.token + law.per_token_job * ready + law.per_kv_token * (held + ready * batch)
            now -= -(m * step + law.per_kv_token * ready * (m * (m + 1) // 2)) // law.divisor
            batch += m
        k, gone = leave(active, k, unread, last, batch, scene.arrival, now)
        total += gone
