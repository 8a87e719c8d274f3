"""The cheapest profile of each request under the prices of `charge`: a dynamic program.

A request is waiting (its prompt is not read), held at a level, dropped at a level, or done.
`cheapest` goes backward over the intervals; `spread` goes forward with flows that prefer cheap
steps by their excess over the cheapest, relative to a temperature, and adds up what the flows pay:
an ε-subgradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray
from .batch_shares import Lengths
from .levels import Levels


class Prices(NamedTuple):
    """Prices in each of K intervals, and how the fixed time of batches is shared.

    Attributes
    ----------
    gpu, kv, seat : ndarray of float64, shape (K,)
        L, ν and σ, per unit of time.
    seat_share, token_share, kv_share : ndarray of float64, shape (K,)
        κ/B, γ/C and μ/M.
    request_share : ndarray of float64, shape (n, K)
        θ.
    """

    gpu: FloatArray
    kv: FloatArray
    seat: FloatArray
    seat_share: FloatArray
    token_share: FloatArray
    kv_share: FloatArray
    request_share: FloatArray


class Grid(NamedTuple):
    """Intervals: their length, how many, tokens in a level, and c0_prompt and c0.

    Attributes
    ----------
    delta : float
        Δ.
    intervals : int
        K.
    step : float
        G.
    c0_prompt, c0 : float
        Intercepts.
    """

    delta: float
    intervals: int
    step: float
    c0_prompt: float
    c0: float


class Room(NamedTuple):
    """Workspace of one thread.

    Attributes
    ----------
    held, dropped : ndarray of float64, shape (K + 1, levels)
        Costs to go at the beginning of each interval.
    waiting : ndarray of float64, shape (K + 1,)
        The same before the prompt is read.
    rows : ndarray of float64, shape (13, levels)
        Of one interval.
    flow : ndarray of float64, shape (4, levels)
        Flows of one interval and the next.
    """

    held: FloatArray
    dropped: FloatArray
    waiting: FloatArray
    rows: FloatArray
    flow: FloatArray


def room_for(K: int, levels: int) -> Room:
    """Return a workspace for requests of at most this many levels."""
    size = (K + 1, levels)
    return Room(
        np.empty(size), np.empty(size), np.empty(K + 1), np.empty((13, levels)),
        np.zeros((4, levels)),
    )  # fmt: skip


#: Rows of a workspace, by level. What a request pays in the interval: per unit of E, for being held
#: throughout, per square of levels moved then, for being held throughout if it is held later only,
#: per level moved then, for the work and shares up to the level, for prefilling again, and at the
#: end per level.
_LONG, _HOLD, _SQUARE, _LIGHT, _MOVE, _PAID, _AGAIN, _LAST = range(8)

#: Cheapest ways on, without what is paid for work: held throughout, held from somewhere on,
#: dropped somewhere, done (held until then), done (held from somewhere on).
_RUN, _ENTER, _DROP, _END, _END_LATE = range(8, 13)


@njit(cache=True, nogil=True)
def tempo(cost: float, long: float, pace: float, e: Lengths, k: int) -> tuple[float, int, float]:
    """Return the least of (cost + long·E(r))/r over rates r up to 1/pace.

    With the tangent on the left of the best rate, and the time per token there.
    """
    j, m = 0, e.slope.shape[1] - 1
    while j < m and long * e.height[k, j + 1] <= cost:
        j += 1
    rest, time = cost - long * e.height[k, j], pace
    if j < m:
        time = max(
            time, (e.slope[k, j + 1] - e.slope[k, j]) / (e.height[k, j + 1] - e.height[k, j])
        )
    return rest * time + long * e.slope[k, j], j, time


@njit(cache=True, nogil=True)
def _rows(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, rows: FloatArray
) -> None:
    """Write what the levels of a request pay in an interval."""
    p, q = levels.offset[i], levels.offset[i + 1]
    G, w = grid.step, levels.weight[i]
    L, nu, sigma = prices.gpu[k], prices.kv[k], prices.seat[k]
    share = prices.request_share[i, k] + prices.seat_share[k] + prices.token_share[k]
    token = L * (levels.c2[i] + levels.c0[i] * share) * G
    read = L * (levels.c3[i] + levels.c0[i] * prices.kv_share[k])
    again = L * (1 + e.slope[k, 0] * grid.c0_prompt / grid.c0)
    for x in range(q - p):
        rows[_LONG, x] = L * levels.extra[i] * levels.work_before[p + x]
        rows[_HOLD, x] = grid.delta * (w + nu * levels.kv[p + x] + sigma)
        rows[_SQUARE, x] = nu * G * G * levels.pace[p + x] / 2
        light, pace = nu * levels.kv_before[p + x] + sigma, levels.pace[p + x]
        rows[_LIGHT, x] = grid.delta * light
        rows[_MOVE, x] = G * tempo(light, rows[_LONG, x], pace, e, k)[0]
        rows[_PAID, x] = token * x + read * levels.read[p + x]
        rows[_AGAIN, x] = again * levels.again[p + x]


@njit(cache=True, nogil=True)
def _read_price(levels: Levels, prices: Prices, i: int, k: int) -> float:
    if k >= prices.gpu.size:
        return 0.0
    return float(prices.gpu[k] * (levels.c3[i] + levels.c0[i] * prices.kv_share[k]))


@njit(cache=True, nogil=True)
def _prompt(levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int) -> float:
    """Return what reading the prompt in an interval pays."""
    share = prices.request_share[i, k] + prices.seat_share[k]
    tokens = (prices.token_share[k] + prices.kv_share[k]) * levels.prompt[i]
    work = levels.work[i] * (1 + e.slope[k, 0] * grid.c0_prompt / grid.c0)
    return float(prices.gpu[k] * (work + grid.c0_prompt * (levels.jobs[i] * share + tokens)))


@njit(cache=True, nogil=True)
def _most_moves(levels: Levels, e: Lengths, grid: Grid, i: int) -> int:
    """Return how many levels a request may move in an interval, rounded up."""
    fastest = grid.delta * (1 + 1e-9) / (levels.pace[levels.offset[i]] * grid.step)
    return int(min(e.moved.shape[1] - 1, int(fastest) + 1))


@njit(cache=True, nogil=True)
def _last_rows(levels: Levels, e: Lengths, grid: Grid, i: int, k: int, rows: FloatArray) -> None:
    """Write what a level costs at the end, from where the end is in reach."""
    N = levels.offset[i + 1] - levels.offset[i] - 1
    for x in range(max(0, N - _most_moves(levels, e, grid, i)), N):
        cost = levels.weight[i] + rows[_LIGHT, x] / grid.delta
        pace = levels.pace[levels.offset[i] + x]
        rows[_LAST, x] = grid.step * tempo(cost, rows[_LONG, x], pace, e, k)[0]


@njit(cache=True, nogil=True)
def _ways(
    levels: Levels,
    prices: Prices,
    e: Lengths,
    grid: Grid,
    i: int,
    k: int,
    held: FloatArray,
    dropped: FloatArray,
    rows: FloatArray,
) -> None:
    """Write the rows of an interval, from the costs to go after it."""
    _rows(levels, prices, e, grid, i, k, rows)
    N = levels.offset[i + 1] - levels.offset[i] - 1
    moves = _most_moves(levels, e, grid, i)
    long, square, light = rows[_LONG], rows[_SQUARE], rows[_LIGHT]
    move, paid = rows[_MOVE], rows[_PAID]
    run, enter, drop = rows[_RUN], rows[_ENTER], rows[_DROP]
    run[: N + 1] = np.inf
    enter[: N + 1] = np.inf
    drop[: N + 1] = np.inf
    rows[_END, : N + 1] = np.inf
    rows[_END_LATE, : N + 1] = np.inf
    ahead_held, ahead_dropped = held[:N] + paid[:N], dropped[:N] + paid[:N]
    for m in range(min(moves, N - 1) + 1):
        moved = e.moved[k, m]
        squares = m * m - 0.25 if m > 1 else 0.0
        for x in range(N - m):
            c = long[x] * moved
            run[x] = min(run[x], c + square[x] * squares + ahead_held[x + m])
            c = min(c + light[x], move[x] * m)
            enter[x] = min(enter[x], c + ahead_held[x + m])
            drop[x] = min(drop[x], c + ahead_dropped[x + m])
    _last_rows(levels, e, grid, i, k, rows)
    for m in range(1, min(moves, N) + 1):
        x = N - m
        c = long[x] * e.moved[k, m]
        squares = m * m - 0.25 if m > 1 else 0.0
        end = m * rows[_LAST, x]
        rows[_END, x] = min(end, rows[_HOLD, x] + c + square[x] * squares) + paid[N]
        late = levels.weight[i] * grid.delta + min(c + light[x], move[x] * m)
        rows[_END_LATE, x] = min(end, late) + paid[N]


@njit(cache=True, nogil=True)
def _after_prompt(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, x: int, w_length: float,
    rows: FloatArray,
) -> float:  # fmt: skip
    """Return the least cost of an interval in which the prompt is complete, from a start level."""
    N = levels.offset[i + 1] - levels.offset[i] - 1
    prompt_time = levels.weight[i] * levels.time[i]
    if x >= N:
        return float(min(w_length, prompt_time))
    found = w_length + rows[_ENTER, x] - rows[_PAID, x]
    m = N - x
    if m <= _most_moves(levels, e, grid, i):
        c = min(rows[_LONG, x] * e.moved[k, m] + rows[_LIGHT, x], rows[_MOVE, x] * m)
        end = min(prompt_time + m * rows[_LAST, x], w_length + c)
        found = min(found, end + rows[_PAID, N] - rows[_PAID, x])
    return float(found)


@njit(cache=True, nogil=True)
def cheapest(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, last: int, room: Room
) -> float:
    """Return the cheapest profile's cost; after `last` intervals nothing but time is charged."""
    p = levels.offset[i]
    N = levels.offset[i + 1] - p - 1
    w, first = levels.weight[i], levels.first[i]
    delta = grid.delta
    start = int(levels.arrival[i] // delta)
    last = max(start, min(last, grid.intervals))
    held, dropped, waiting, rows = room.held, room.dropped, room.waiting, room.rows
    bend = _read_price(levels, prices, i, last - 1) if last > start else 0.0
    for x in range(N + 1):
        held[last, x] = w * levels.alone[p + x] - bend * levels.bend[p + x]
        dropped[last, x] = held[last, x]
    second = min(1, N)
    alone = first * levels.alone[p] + (1 - first) * levels.alone[p + second]
    waiting[last] = w * (levels.time[i] + alone)
    for k in range(last - 1, start - 1, -1):
        _ways(levels, prices, e, grid, i, k, held[k + 1], dropped[k + 1], rows)
        length = delta if k > start else (k + 1) * delta - levels.arrival[i]
        going = first * _after_prompt(levels, prices, e, grid, i, k, 0, w * length, rows)
        if first < 1:
            late = _after_prompt(levels, prices, e, grid, i, k, second, w * length, rows)
            going += (1 - first) * late
        going += _prompt(levels, prices, e, grid, i, k)
        waiting[k] = min(w * length + waiting[k + 1], going)
        before, now = _read_price(levels, prices, i, k - 1), _read_price(levels, prices, i, k)
        bend = max(0.0, before - now) if k > start else 0.0
        for x in range(N):
            paid = rows[_PAID, x]
            again = min(w * delta + rows[_ENTER, x], rows[_END_LATE, x]) + rows[_AGAIN, x] - paid
            from_dropped = min(w * delta + dropped[k + 1, x], again)
            on = min(rows[_HOLD, x] + rows[_RUN, x], rows[_END, x])
            on = min(on, w * delta + rows[_DROP, x]) - paid
            held[k, x] = min(on, from_dropped) - bend * levels.bend[p + x]
            dropped[k, x] = from_dropped - bend * levels.bend[p + x]
        held[k, N] = dropped[k, N] = 0.0
    return float(waiting[start])
