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
    waiting, going : ndarray of float64, shape (K + 1,)
        The same before the prompt is read, and if it is read in this interval.
    rows : ndarray of float64, shape (15, levels)
        Of one interval.
    costs : ndarray of float64
        Of the ways on from one state.
    flow : ndarray of float64, shape (4, levels)
        Flows of one interval and the next.
    """

    held: FloatArray
    dropped: FloatArray
    waiting: FloatArray
    going: FloatArray
    rows: FloatArray
    costs: FloatArray
    flow: FloatArray


def room_for(K: int, levels: int, moves: int) -> Room:
    """Return a workspace for requests of at most this many levels, and levels moved at once."""
    size = (K + 1, levels)
    return Room(
        np.empty(size), np.empty(size), np.empty(K + 1), np.empty(K + 1), np.empty((15, levels)),
        np.empty(2 * moves + 8), np.zeros((4, levels)),
    )  # fmt: skip


#: Rows of a workspace, by level. What a request pays in the interval: per unit of E, for being held
#: throughout, per square of levels moved then, for being held throughout if it is held later only,
#: per level moved then, for the work and shares up to the level, for prefilling again, and at the
#: end per level; how far below 0 a line of E begins where all the time is used, held later only and
#: at the end (the larger number of this level and the next, so that neighbours agree).
_LONG, _HOLD, _SQUARE, _LIGHT, _MOVE, _PAID, _AGAIN, _LAST, _STEEP, _STEEP_LAST = range(10)

#: Cheapest ways on, without what is paid for work: held throughout, held from somewhere on,
#: dropped somewhere, done (held until then), done (held from somewhere on).
_RUN, _ENTER, _DROP, _END, _END_LATE = range(10, 15)


@njit(cache=True, nogil=True)
def time_price(levels: Levels, grid: Grid, i: int, k: int) -> float:
    """Return what a unit of a request's time costs in an interval."""
    return float(levels.weight[i]) if k * grid.delta >= levels.due[i] else 0.0


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
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, rows: FloatArray,
    low: int, high: int,
) -> None:  # fmt: skip
    """Write what the levels of a request from `low` to `high` pay in an interval, and the next."""
    p, q = levels.offset[i], levels.offset[i + 1]
    G, w = grid.step, time_price(levels, grid, i, k)
    L, nu, sigma = prices.gpu[k], prices.kv[k], prices.seat[k]
    share = prices.request_share[i, k] + prices.seat_share[k] + prices.token_share[k]
    token = L * (levels.c2[i] + levels.c0[i] * share) * G
    read = L * (levels.c3[i] + levels.c0[i] * prices.kv_share[k])
    again = L * (1 + e.slope[k, 0] * grid.c0_prompt / grid.c0)
    high = min(high, q - p - 1)
    for x in range(low, min(high + e.moved.shape[1], q - p)):
        rows[_PAID, x] = token * x + read * levels.read[p + x]
    for x in range(low, min(high + 2, q - p)):
        rows[_LONG, x] = L * levels.extra[i] * levels.work_before[p + x]
        rows[_HOLD, x] = grid.delta * (w + nu * levels.kv[p + x] + sigma)
        rows[_SQUARE, x] = nu * G * G * levels.pace[p + x] / 2
        light, pace = nu * levels.kv_before[p + x] + sigma, levels.pace[p + x]
        rows[_LIGHT, x] = grid.delta * light
        rows[_MOVE, x] = G * tempo(light, rows[_LONG, x], pace, e, k)[0]
        rows[_AGAIN, x] = again * levels.again[p + x]
        rows[_STEEP, x] = rows[_LIGHT, x] / rows[_LONG, x] if rows[_LONG, x] > 0 else np.inf
    for x in range(low, min(high + 1, q - p - 1)):
        rows[_STEEP, x] = max(rows[_STEEP, x], rows[_STEEP, x + 1])


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
def _last_rows(
    levels: Levels, e: Lengths, grid: Grid, i: int, k: int, rows: FloatArray, low: int, high: int
) -> None:
    """Write what levels from `low` to `high` cost at the end, from where the end is in reach."""
    N = levels.offset[i + 1] - levels.offset[i] - 1
    w, after = time_price(levels, grid, i, k), 0.0
    low = max(low, N - _most_moves(levels, e, grid, i))
    for x in range(min(N, high + 1), low - 1, -1):
        cost, long = w + rows[_LIGHT, x] / grid.delta, rows[_LONG, x]
        pace = levels.pace[levels.offset[i] + x]
        rows[_LAST, x] = grid.step * tempo(cost, long, pace, e, k)[0]
        own = grid.delta * cost / long if long > 0 else np.inf
        rows[_STEEP_LAST, x] = max(own, after)
        after = own


@njit(cache=True, nogil=True)
def partly(
    e: Lengths, k: int, m: int, room: float, long: float, throughout: float, move: float,
    steep: float,
) -> float:  # fmt: skip
    """Return what m levels pay beside work, if they are moved in `room` of the interval or less.

    At the best rate they pay `move` each. If the line of E is below 0 by `steep` for no rate, the
    longer time is the cheaper one: all the time that there is.
    """
    if m == 0:
        return 0.0
    full = room * throughout + long * (e.moved[k, m] + (1 - room) * e.drop[k, m])
    if e.drop[k, m] >= steep:
        return float(full)
    return float(min(full, move * m))


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
    _rows(levels, prices, e, grid, i, k, rows, 0, levels.kv.size)
    N = levels.offset[i + 1] - levels.offset[i] - 1
    moves = _most_moves(levels, e, grid, i)
    long, square, light = rows[_LONG], rows[_SQUARE], rows[_LIGHT]
    move, paid, steep = rows[_MOVE], rows[_PAID], rows[_STEEP]
    run, enter, drop = rows[_RUN], rows[_ENTER], rows[_DROP]
    run[: N + 1] = np.inf
    enter[: N + 1] = np.inf
    drop[: N + 1] = np.inf
    rows[_END, : N + 1] = np.inf
    rows[_END_LATE, : N + 1] = np.inf
    ahead_held, ahead_dropped = held[:N] + paid[:N], dropped[:N] + paid[:N]
    for m in range(min(moves, N - 1) + 1):
        moved, line = e.moved[k, m], e.drop[k, m]
        squares = m * m - 0.25 if m > 1 else 0.0
        for x in range(N - m):
            c = long[x] * moved
            run[x] = min(run[x], c + square[x] * squares + ahead_held[x + m])
            c += light[x]
            c = c if line >= steep[x] else min(c, move[x] * m)
            enter[x] = min(enter[x], c + ahead_held[x + m])
            drop[x] = min(drop[x], c + ahead_dropped[x + m])
    _last_rows(levels, e, grid, i, k, rows, 0, N)
    time = time_price(levels, grid, i, k) * grid.delta
    for m in range(1, min(moves, N) + 1):
        x = N - m
        end = partly(
            e, k, m, 1.0, long[x], time + light[x], rows[_LAST, x], rows[_STEEP_LAST, x]
        )  # fmt: skip
        late = time + partly(e, k, m, 1.0, long[x], light[x], move[x], steep[x])
        rows[_END, x] = end + paid[N]
        rows[_END_LATE, x] = min(end, late) + paid[N]


@njit(cache=True, nogil=True)
def enter(
    levels: Levels, e: Lengths, grid: Grid, i: int, k: int, x: int, length: float, before: float,
    rows: FloatArray, held: FloatArray, costs: FloatArray,
) -> int:  # fmt: skip
    """Write the costs of going on from a level within an interval, by levels moved.

    `length` is the interval's from the arrival on, `before` the time before the first token.
    """
    p = levels.offset[i]
    N, w = levels.offset[i + 1] - p - 1, time_price(levels, grid, i, k)
    if x >= N:
        costs[0] = w * min(length, before)
        return 1
    room = length / grid.delta
    moves = min(_most_moves(levels, e, grid, i), N - x)
    if room < 1:  # since the arrival
        room = max(0.0, length - before) / grid.delta
        fastest = levels.pace[p + x] * grid.step
        moves = min(moves, int(room * grid.delta * (1 + 1e-9) / fastest) + 1)
    long, light, paid = rows[_LONG, x], rows[_LIGHT, x], rows[_PAID]
    for m in range(moves + 1):
        c = w * length + partly(e, k, m, room, long, light, rows[_MOVE, x], rows[_STEEP, x])
        if x + m < N:
            c += held[x + m]
        else:
            throughout, steep = w * grid.delta + light, rows[_STEEP_LAST, x]
            end = partly(e, k, m, room, long, throughout, rows[_LAST, x], steep)
            c = min(c, w * before + end)
        costs[m] = c + paid[x + m] - paid[x]
    return int(moves + 1)


@njit(cache=True, nogil=True)
def _after_prompt(
    levels: Levels, e: Lengths, grid: Grid, i: int, k: int, length: float, rows: FloatArray,
    held: FloatArray, costs: FloatArray,
) -> float:  # fmt: skip
    """Return the least cost of an interval in which the prompt is complete, by the mean start."""
    N, first = levels.offset[i + 1] - levels.offset[i] - 1, levels.first[i]
    count = enter(levels, e, grid, i, k, 0, length, levels.time[i], rows, held, costs)
    found = first * np.min(costs[:count])
    if first < 1:
        x = min(1, N)
        count = enter(levels, e, grid, i, k, x, length, levels.time[i], rows, held, costs)
        found += (1 - first) * np.min(costs[:count])
    return float(found)


@njit(cache=True, nogil=True)
def cheapest(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, last: int, room: Room
) -> float:
    """Return the cheapest profile's cost; after `last` intervals nothing but time is charged."""
    p = levels.offset[i]
    N = levels.offset[i + 1] - p - 1
    first, delta = levels.first[i], grid.delta
    start = int(levels.arrival[i] // delta)
    last = max(start, min(last, grid.intervals))
    held, dropped, waiting, rows = room.held, room.dropped, room.waiting, room.rows
    bend = _read_price(levels, prices, i, last - 1) if last > start else 0.0
    w = time_price(levels, grid, i, last)
    for x in range(N + 1):
        held[last, x] = w * levels.alone[p + x] - bend * levels.bend[p + x]
        dropped[last, x] = held[last, x]
    alone = first * levels.alone[p] + (1 - first) * levels.alone[p + min(1, N)]
    waiting[last] = w * (levels.time[i] + alone)
    for k in range(last - 1, start - 1, -1):
        w = time_price(levels, grid, i, k)
        _ways(levels, prices, e, grid, i, k, held[k + 1], dropped[k + 1], rows)
        length = delta if k > start else (k + 1) * delta - levels.arrival[i]
        going = _after_prompt(levels, e, grid, i, k, length, rows, held[k + 1], room.costs)
        going += _prompt(levels, prices, e, grid, i, k)
        room.going[k] = going
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
