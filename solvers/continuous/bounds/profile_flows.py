"""Flows along cheap profiles of a request, and what they pay: an ε-subgradient of `charge`.

In each state the flow divides among the steps by ``exp(−excess / temperature)``, where the excess
is the cost of a step over the cheapest. What a flow pays, as a function of the prices, is never
below the cheapest profile's cost, and here it is above it by the mean excess.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import FloatArray
from .batch_shares import Lengths
from .levels import Levels
from .profiles import (
    _AGAIN,
    _HOLD,
    _LAST,
    _LIGHT,
    _LONG,
    _MOVE,
    _PAID,
    _SQUARE,
    _STEEP,
    _STEEP_LAST,
    Grid,
    Prices,
    Room,
    _last_rows,
    _most_moves,
    _read_price,
    _rows,
    enter,
    partly,
    tempo,
    time_price,
)  # fmt: skip

#: Flows below this are dropped.
_LEAST = 1e-6


@njit(cache=True, nogil=True)
def _divide(costs: FloatArray, count: int, temperature: float, flow: float) -> None:
    """Write the flow of each step in place of its cost."""
    least = np.inf
    for j in range(count):
        least = min(least, costs[j])
    total = 0.0
    for j in range(count):
        excess = (costs[j] - least) / temperature
        costs[j] = np.exp(-excess) if excess < 20 else 0.0
        total += costs[j]
    for j in range(count):
        costs[j] *= flow / total


@njit(cache=True, nogil=True)
def _pay_move(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, x: int, m: int,
    flow: float, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Add the work and the shares of m levels."""
    if m == 0:
        return
    at = levels.offset[i] + x
    L, c0, tokens = prices.gpu[k], levels.c0[i], grid.step * m
    read = levels.read[at + m] - levels.read[at]
    share = prices.request_share[i, k] + prices.seat_share[k] + prices.token_share[k]
    paid = (levels.c2[i] + c0 * share) * tokens + (levels.c3[i] + c0 * prices.kv_share[k]) * read
    add.gpu[k] += flow * paid
    add.request_share[i, k] += flow * L * c0 * tokens
    add.seat_share[k] += flow * L * c0 * tokens
    add.token_share[k] += flow * L * c0 * tokens
    add.kv_share[k] += flow * L * c0 * read


@njit(cache=True, nogil=True)
def _pay_length(
    levels: Levels, prices: Prices, e: Lengths, i: int, k: int, x: int, m: int, room: float,
    flow: float, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Add what is charged for the length of batches when m levels are moved in all the time."""
    flow *= levels.extra[i] * levels.work_before[levels.offset[i] + x]
    add.gpu[k] += flow * (e.moved[k, m] + (1 - room) * e.drop[k, m])
    add_e.moved[k, m] += flow * prices.gpu[k]
    add_e.drop[k, m] += flow * prices.gpu[k] * (1 - room)


@njit(cache=True, nogil=True)
def _pay_pace(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, x: int, m: int,
    weight: float, flow: float, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Add the time of m levels at the best rate."""
    at = levels.offset[i] + x
    flow *= grid.step * m
    long = levels.extra[i] * levels.work_before[at]
    cost = weight + prices.kv[k] * levels.kv_before[at] + prices.seat[k]
    _, j, time = tempo(cost, prices.gpu[k] * long, levels.pace[at], e, k)
    add.kv[k] += flow * time * levels.kv_before[at]
    add.seat[k] += flow * time
    add.gpu[k] += flow * long * (e.slope[k, j] - time * e.height[k, j])
    long *= prices.gpu[k]
    rest = cost - long * e.height[k, j]
    add_e.slope[k, j] += flow * long
    add_e.height[k, j] -= flow * long * time
    if time > levels.pace[at]:
        width = e.height[k, j + 1] - e.height[k, j]
        add_e.slope[k, j + 1] += flow * rest / width
        add_e.slope[k, j] -= flow * rest / width
        add_e.height[k, j + 1] -= flow * rest * time / width
        add_e.height[k, j] += flow * rest * time / width


@njit(cache=True, nogil=True)
def _pay_partly(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, x: int, m: int,
    room: float, weight: float, flow: float, rows: FloatArray, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Add what `partly` says: m levels moved later only (weight 0), or at the end."""
    if m == 0:
        return
    long, throughout = rows[_LONG, x], rows[_LIGHT, x] + weight * grid.delta
    move, steep = rows[_MOVE, x], rows[_STEEP, x]
    if weight > 0:
        move, steep = rows[_LAST, x], rows[_STEEP_LAST, x]
    full = room * throughout + long * (e.moved[k, m] + (1 - room) * e.drop[k, m])
    if e.drop[k, m] < steep and move * m <= full:
        _pay_pace(levels, prices, e, grid, i, k, x, m, weight, flow, add, add_e)
        return
    _pay_length(levels, prices, e, i, k, x, m, room, flow, add, add_e)
    add.kv[k] += flow * room * grid.delta * levels.kv_before[levels.offset[i] + x]
    add.seat[k] += flow * room * grid.delta


@njit(cache=True, nogil=True)
def _pay_chunks(
    prices: Prices, e: Lengths, grid: Grid, k: int, work: float, flow: float, add: Prices,
    add_e: Lengths,
) -> None:  # fmt: skip
    """Add the work of prompt chunks."""
    ratio = grid.c0_prompt / grid.c0
    add.gpu[k] += flow * work * (1 + e.slope[k, 0] * ratio)
    add_e.slope[k, 0] += flow * prices.gpu[k] * work * ratio


@njit(cache=True, nogil=True)
def _pay_enter(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, x: int, length: float,
    before: float, flows: FloatArray, count: int, room: Room, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Pay for what `enter` offers."""
    N, w = levels.offset[i + 1] - levels.offset[i] - 1, time_price(levels, grid, i, k)
    rows = room.rows
    part = length / grid.delta
    if part < 1:
        part = max(0.0, length - before) / grid.delta
    for m in range(count):
        flow = flows[m]
        if flow <= _LEAST:
            continue
        _pay_move(levels, prices, e, grid, i, k, x, m, flow, add, add_e)
        weight = 0.0
        if x + m < N:
            room.flow[2, x + m] += flow
        elif m > 0:
            long, light = rows[_LONG, x], rows[_LIGHT, x]
            c = w * length + partly(
                e, k, m, part, long, light, rows[_MOVE, x], rows[_STEEP, x]
            )  # fmt: skip
            last, steep = rows[_LAST, x], rows[_STEEP_LAST, x]
            end = partly(e, k, m, part, long, w * grid.delta + light, last, steep)
            if w * before + end < c:
                weight = w
        _pay_partly(levels, prices, e, grid, i, k, x, m, part, weight, flow, rows, add, add_e)


@njit(cache=True, nogil=True)
def _from_held(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, x: int, room: Room,
    temperature: float, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Divide the flow that is held at a level."""
    p = levels.offset[i]
    N = levels.offset[i + 1] - p - 1
    rows, flow, held, dropped = room.rows, room.flow, room.held[k + 1], room.dropped[k + 1]
    costs = room.costs
    moves = min(_most_moves(levels, e, grid, i), N - x)
    stay, long, square = rows[_HOLD, x], rows[_LONG, x], rows[_SQUARE, x]
    w, light = time_price(levels, grid, i, k), rows[_LIGHT, x]
    time = w * grid.delta
    for m in range(moves + 1):
        squares = m * m - 0.25 if m > 1 else 0.0
        paid = rows[_PAID, x + m] - rows[_PAID, x]
        if x + m == N:
            end = partly(
                e, k, m, 1.0, long, time + light, rows[_LAST, x], rows[_STEEP_LAST, x]
            )  # fmt: skip
            costs[2 * m] = end + paid
            costs[2 * m + 1] = np.inf
        else:
            costs[2 * m] = stay + long * e.moved[k, m] + paid + square * squares + held[x + m]
            late = partly(e, k, m, 1.0, long, light, rows[_MOVE, x], rows[_STEEP, x])
            costs[2 * m + 1] = time + late + paid + dropped[x + m]
    count = 2 * moves + 3
    bend = max(0.0, _read_price(levels, prices, i, k - 1) - _read_price(levels, prices, i, k))
    costs[count - 1] = room.dropped[k, x] + bend * levels.bend[p + x]
    _divide(costs, count, temperature, flow[0, x])
    flow[1, x] += costs[count - 1]
    for m in range(moves + 1):
        squares = m * m - 0.25 if m > 1 else 0.0
        for kept in range(2):
            g = costs[2 * m + 1 - kept]
            if g <= _LEAST:
                continue
            _pay_move(levels, prices, e, grid, i, k, x, m, g, add, add_e)
            if x + m == N:
                _pay_partly(levels, prices, e, grid, i, k, x, m, 1.0, w, g, rows, add, add_e)
            elif kept == 1:
                _pay_length(levels, prices, e, i, k, x, m, 1.0, g, add, add_e)
                pace = grid.step * grid.step * levels.pace[p + x] / 2
                add.kv[k] += g * (grid.delta * levels.kv[p + x] + pace * squares)
                add.seat[k] += g * grid.delta
            else:
                _pay_partly(levels, prices, e, grid, i, k, x, m, 1.0, 0.0, g, rows, add, add_e)
            if x + m < N:
                flow[3 - kept, x + m] += g


@njit(cache=True, nogil=True)
def _pay_bend(
    levels: Levels, prices: Prices, i: int, k: int, x: int, flow: float, add: Prices
) -> None:
    before, now = _read_price(levels, prices, i, k - 1), _read_price(levels, prices, i, k)
    if before <= now:
        return
    flow *= levels.bend[levels.offset[i] + x]
    add.gpu[k - 1] -= flow * (levels.c3[i] + levels.c0[i] * prices.kv_share[k - 1])
    add.kv_share[k - 1] -= flow * prices.gpu[k - 1] * levels.c0[i]
    if k < prices.gpu.size:
        add.gpu[k] += flow * (levels.c3[i] + levels.c0[i] * prices.kv_share[k])
        add.kv_share[k] += flow * prices.gpu[k] * levels.c0[i]


@njit(cache=True, nogil=True)
def _begin(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, length: float,
    goes: float, temperature: float, room: Room, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Divide the flow whose prompt is read in an interval, and pay for the prompt."""
    N, first, time = levels.offset[i + 1] - levels.offset[i] - 1, levels.first[i], levels.time[i]
    costs = room.costs
    _pay_chunks(prices, e, grid, k, levels.work[i], goes, add, add_e)
    L, c0 = prices.gpu[k], grid.c0_prompt
    share = prices.request_share[i, k] + prices.seat_share[k]
    tokens = (prices.token_share[k] + prices.kv_share[k]) * levels.prompt[i]
    add.gpu[k] += goes * c0 * (levels.jobs[i] * share + tokens)
    add.request_share[i, k] += goes * L * c0 * levels.jobs[i]
    add.seat_share[k] += goes * L * c0 * levels.jobs[i]
    add.token_share[k] += goes * L * c0 * levels.prompt[i]
    add.kv_share[k] += goes * L * c0 * levels.prompt[i]
    for s in range(2 if first < 1 else 1):
        x = min(s, N)
        count = enter(levels, e, grid, i, k, x, length, time, room.rows, room.held[k + 1], costs)
        _divide(costs, count, temperature, goes * (first if s == 0 else 1 - first))
        _pay_enter(
            levels, prices, e, grid, i, k, x, length, time, costs, count, room, add, add_e
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _from_dropped(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, k: int, x: int,
    temperature: float, room: Room, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Divide the flow that is dropped at a level."""
    costs, flow, dropped = room.costs, room.flow, room.dropped[k + 1]
    again = room.rows[_AGAIN, x]
    count = enter(
        levels, e, grid, i, k, x, grid.delta, 0.0, room.rows, room.held[k + 1], costs
    )  # fmt: skip
    for m in range(count):
        costs[m] += again
    costs[count] = time_price(levels, grid, i, k) * grid.delta + dropped[x]
    _divide(costs, count + 1, temperature, flow[1, x])
    flow[3, x] += costs[count]
    back = np.sum(costs[:count])
    _pay_chunks(prices, e, grid, k, levels.again[levels.offset[i] + x], back, add, add_e)
    _pay_enter(
        levels, prices, e, grid, i, k, x, grid.delta, 0.0, costs, count, room, add, add_e
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _is_there(flow: FloatArray, low: int, N: int) -> tuple[int, int]:
    """Return the first and the last level with a flow; N and −1 where there is none."""
    first, last = N, -1
    for x in range(low, N):
        if flow[0, x] > _LEAST or flow[1, x] > _LEAST:
            first, last = min(first, x), x
    return first, last


@njit(cache=True, nogil=True)
def spread(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, i: int, last: int, temperature: float,
    room: Room, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Add what the flows of a request pay, after `cheapest` of the same arguments."""
    N = levels.offset[i + 1] - levels.offset[i] - 1
    delta, flow = grid.delta, room.flow
    start = int(levels.arrival[i] // delta)
    last = max(start, min(last, grid.intervals))
    flow[:, : N + 1] = 0.0
    waiting = 1.0
    for k in range(start, last):
        goes = 0.0
        length = delta if k > start else (k + 1) * delta - levels.arrival[i]
        if waiting > _LEAST:
            w = time_price(levels, grid, i, k)
            room.costs[0], room.costs[1] = w * length + room.waiting[k + 1], room.going[k]
            _divide(room.costs, 2, temperature, waiting)
            waiting, goes = room.costs[0], room.costs[1]
        low, high = _is_there(flow, 0, N)
        if goes > _LEAST:
            low, high = 0, max(high, min(1, N))
        if low > high:
            continue
        _rows(levels, prices, e, grid, i, k, room.rows, low, high)
        _last_rows(levels, e, grid, i, k, room.rows, low, high)
        if goes > _LEAST:
            _begin(
                levels, prices, e, grid, i, k, length, goes, temperature, room, add, add_e
            )  # fmt: skip
        for x in range(low, min(high + 1, N)):
            if flow[0, x] > _LEAST:
                _pay_bend(levels, prices, i, k, x, flow[0, x], add)
                _from_held(levels, prices, e, grid, i, k, x, room, temperature, add, add_e)
        for x in range(low, min(high + 1, N)):
            if flow[1, x] > _LEAST:
                _from_dropped(levels, prices, e, grid, i, k, x, temperature, room, add, add_e)
        for x in range(low, N + 1):
            flow[0, x], flow[1, x] = flow[2, x], flow[3, x]
            flow[2, x] = flow[3, x] = 0.0
    for x in range(N):
        if last > start and flow[0, x] + flow[1, x] > _LEAST:
            _pay_bend(levels, prices, i, last, x, flow[0, x] + flow[1, x], add)
