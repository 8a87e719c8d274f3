"""Multipliers of `charge` as unconstrained variables, their start and their ascent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, Instance
from .batch_shares import Lengths, Nodes, Shares, lengths, lengths_gradient, nodes_of
from .levels import Law, Levels, law_of, levels_of
from .profile_flows import spread
from .profiles import Grid, Prices, Room, cheapest, room_for

#: Threads: the kernels release the interpreter.
THREADS = 2

#: How much further than the cost of its cheapest profile the time of a request is looked at.
REACH = 1.1

#: Parts of the requests, between which the clock is looked at.
PARTS = 24


class Variables(NamedTuple):
    """Logarithms of the prices, and logits of the shares, in each of K intervals.

    Attributes
    ----------
    gpu, kv, seat : ndarray of float64, shape (K,)
        Logarithms of L, M·ν and B·σ.
    shares : ndarray of float64, shape (n + 4, K)
        Logits of θ, κ, γ, μ and of what is not shared.
    """

    gpu: FloatArray
    kv: FloatArray
    seat: FloatArray
    shares: FloatArray


@dataclass(frozen=True, slots=True)
class Problem:
    """One instance on one grid."""

    law: Law
    levels: Levels
    grid: Grid
    nodes: Nodes

    @property
    def n(self) -> int:
        """Number of requests."""
        return self.levels.arrival.size


def problem_of(
    instance: Instance, delta: int, G: int, end: float, objective: str = "latency"
) -> Problem:
    """Return an instance on a grid of intervals of `delta`, up to `end` after the first arrival."""
    law = law_of(instance)
    levels = levels_of(instance, law, G, objective)
    last = max(end, float(levels.arrival.max()) + 1)
    grid = Grid(float(delta), int(last // delta) + 1, float(G), law.c0_prompt, law.c0)
    nodes = nodes_of(law, levels, float(instance.peak.max()), float(delta), G)
    return Problem(law, levels, grid, nodes)


def prices_of(problem: Problem, v: Variables) -> tuple[Prices, Shares]:
    """Return the prices and the shares of some variables."""
    law, n = problem.law, problem.n
    z = np.exp(v.shares - v.shares.max(axis=0))
    z *= (1 - 1e-12) / z.sum(axis=0)
    shares = Shares(z[:n], z[n], z[n + 1], z[n + 2])
    prices = Prices(
        np.exp(v.gpu), np.exp(v.kv) / law.kv, np.exp(v.seat) / law.running,
        shares.seat / law.running, shares.token / law.tokens, shares.kv / law.kv, shares.request,
    )  # fmt: skip
    return prices, shares


class Evaluation(NamedTuple):
    """What some prices give.

    Attributes
    ----------
    bound : float
        The lower bound on the weighted latency.
    costs : ndarray of float64, shape (n,)
        The cheapest profile's cost of each request.
    gradient : Variables
        An ε-subgradient.
    """

    bound: float
    costs: FloatArray
    gradient: Variables


@njit(cache=True, nogil=True)
def _some(
    levels: Levels, prices: Prices, e: Lengths, grid: Grid, last: FloatArray, temperature: float,
    which: tuple[int, int], room: Room, costs: FloatArray, add: Prices, add_e: Lengths,
) -> None:  # fmt: skip
    """Evaluate every so many requests, from one on."""
    for i in range(which[0], levels.arrival.size, which[1]):
        costs[i] = cheapest(levels, prices, e, grid, i, int(last[i]), room)
        if temperature > 0:
            spread(
                levels, prices, e, grid, i, int(last[i]), temperature, room, add, add_e
            )  # fmt: skip


class Evaluator:
    """Evaluates prices of a problem, in threads, over and over."""

    def __init__(self, problem: Problem, pool: ThreadPoolExecutor) -> None:
        self.problem, self.pool = problem, pool
        K, m, n = problem.grid.intervals, problem.nodes.at.size // 2, problem.n
        longest = int(np.diff(problem.levels.offset).max())
        self.rooms = [room_for(K, longest, m) for _ in range(THREADS)]
        self.e = _lengths(K, m)
        self.sums = [(_prices(K, 0), _lengths(K, m)) for _ in range(THREADS)]
        self.request = np.zeros((n, K))
        self.costs = np.zeros(n)
        self.last = np.full(n, float(K))

    def _each(self, run: Callable[[int], None]) -> None:
        jobs = [self.pool.submit(run, t) for t in range(THREADS)]
        for job in jobs:
            job.result()

    def evaluate(
        self, v: Variables, temperature: float, late: Callable[[], bool] = lambda: False
    ) -> Evaluation | None:
        """Return the bound, and an ε-subgradient if the temperature is above 0.

        `late` is asked now and then: None if it is.
        """
        problem, K = self.problem, self.problem.grid.intervals
        prices, shares = prices_of(problem, v)
        cut = [K * t // THREADS for t in range(THREADS + 1)]
        self._each(
            lambda t: lengths(problem.nodes, problem.law.c0, shares, cut[t], cut[t + 1], self.e)
        )
        self.request[:] = 0.0
        for each in self.sums:
            for part in (*each[0], *each[1]):
                part[:] = 0

        def work(t: int) -> None:
            add = self.sums[t][0]._replace(request_share=self.request)
            for part in range(t, PARTS, THREADS):
                if late():
                    return
                _some(
                    problem.levels, prices, self.e, problem.grid, self.last, temperature,
                    (part, PARTS), self.rooms[t], self.costs, add, self.sums[t][1],
                )  # fmt: skip

        self._each(work)
        if late():
            return None
        delta, levels = problem.grid.delta, problem.levels
        # A profile that takes longer than the cheapest costs is not the cheapest: look a little
        # further than that, where nothing but time is charged.
        reach = np.maximum(levels.arrival, levels.due)
        reach += REACH * self.costs / np.maximum(levels.weight, 1e-300)
        self.last = np.ceil(np.minimum(reach / delta, K - 2.0)) + 2
        earned = delta * (np.exp(v.gpu) + np.exp(v.kv) + np.exp(v.seat))
        bound = float(self.costs.sum() - earned.sum())
        return Evaluation(bound, self.costs.copy(), self._gradient(v, prices, shares))

    def _gradient(self, v: Variables, prices: Prices, shares: Shares) -> Variables:
        problem, n = self.problem, self.problem.n
        K = problem.grid.intervals
        law, delta = problem.law, problem.grid.delta
        total = Prices(*(sum(parts) for parts in zip(*(s[0] for s in self.sums), strict=True)))
        total_e = Lengths(*(sum(parts) for parts in zip(*(s[1] for s in self.sums), strict=True)))
        seat, token, kv = (
            total.seat_share / law.running, total.token_share / law.tokens, total.kv_share / law.kv
        )  # fmt: skip
        add = Shares(self.request, seat, token, kv)
        cut = [K * t // THREADS for t in range(THREADS + 1)]
        self._each(
            lambda t: lengths_gradient(
                problem.nodes, law.c0, shares, cut[t], cut[t + 1], self.e, total_e, add
            )
        )
        g = np.zeros((n + 4, K))
        g[:n], g[n], g[n + 1], g[n + 2] = add
        z = np.zeros((n + 4, K))
        z[:n], z[n], z[n + 1], z[n + 2] = shares
        z[n + 3] = np.maximum(0.0, 1 - z.sum(axis=0))
        mean = (g * z).sum(axis=0)
        return Variables(
            prices.gpu * (total.gpu - delta),
            prices.kv * (total.kv - delta * law.kv),
            prices.seat * (total.seat - delta * law.running),
            z * (g - mean),
        )


def _lengths(K: int, m: int) -> Lengths:
    size = (K, m + 1)
    return Lengths(
        np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size),
        np.zeros(size, np.int64), np.zeros(size, np.int64),
    )  # fmt: skip


def _prices(K: int, n: int) -> Prices:
    a, b, c, d, e, f = np.zeros((6, K))
    return Prices(a, b, c, d, e, f, np.zeros((n, K)))
