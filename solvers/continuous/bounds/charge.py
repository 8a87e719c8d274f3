"""A lower bound for continuous batching: each request is charged by the length of its batches.

**Prices.** L(t), ν(t) and σ(t) ≥ 0 for the GPU's time, KV tokens and seats, constant on intervals,
0 after the last; and shares θ_i, κ, γ, μ ≥ 0 of the fixed time c0, Σ θ_i + κ + γ + μ ≤ 1. At each
moment of a batch of length 1/r its members pay, beside ν and σ for what they hold,

    L · [r·w + c0·r·share + w·E(r)],   share = f·(θ_i + κ/B) + γ·tokens/C + μ·kv/M,

w the job's work (c1 for each prompt token, c2 + c3·h for a token job), f = 1 for a token job and
p·max(1/s, 1/C) ≤ 1 for a chunk, kv = h and p. With S(V) the most shares in a batch of work V and
V(r) = 1/r − c0, E is convex, E(0) = 0, and E(r) ≤ c0·r·(1 − S(V))/V for the rates of batches.

**No batch is overcharged.** Its work W is at most V(r), its shares at most S(V); so its members pay
at most L·[rV + c0·r·S + c0·r·(1 − S)] = L per unit of time. A batch of prompts only may have a
smaller intercept c: chunks then pay with c in place of c0, and (1 − S)·c/V at the most work V that
any batch holds in place of E/r. Where c > c0 nothing changes: the batch is only longer.

**Memory and seats.** With the progress of a token spread evenly over its batch, s + progress − 1 is
at most the cache at the batch's end, and of a half-read prompt the part that is read; so the
holdings of all never exceed M and B. A dropped request holds nothing. Its next token is read with
the h tokens before it: spread over these chunks, it pays at least what a token job would, and
c1·h − w(h) more (if c1·h < w(h) somewhere, token jobs are charged less work: `levels_of`. With
c < c0 the fixed time of a token job is spared as well, or token jobs pay with c and without E).

Hence for every schedule the total latency is at least Σ_i min over i's profiles of [latency +
what it pays] less Σ Δ·(L + M·ν + B·σ).

**The minimum** is over paths of levels, interval by interval. Let x(t) be a profile's progress in
levels of G tokens, measured from the end. Its rounding ⌊x + u⌋, u uniform on [0, 1), moves by the
floor or the ceiling of the true move, and what is linear between levels is exact in the mean; the
prompt, and prefilling again, are rounded by numbers of their own. So the cheapest rounded path
costs no more than the profile if the costs of steps satisfy: (1) work and shares are linear in
progress; Σ h is convex, and interpolating it errs by at most G²/8 between levels, which is taken
off where its price falls. (2) w·E over an interval is at least w(first)·Δ·E(mean rate), by Jensen;
it is replaced by numbers at whole moves whose interpolation is below E: between j and j + 1 by one
line below E (`batch_shares.lengths`), and 0 for no move. (3) A request that is held for a part of
the interval only pays at least (ν·kv + σ + w·L·E(r))/r per token at the best rate r, or as if it
were held throughout, whichever is less; so does the time of the last tokens. Products of two
numbers that depend on the rounding take the level before, where they are lower.

The multipliers go up an ε-subgradient (`profile_flows`), first on a coarse grid.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ....models.continuous.schedule import ContinuousSchedule
from ....models.instance import FloatArray, Instance
from ...certificates.clock import Clock
from ...certificates.continuous.batch_length_prices import BatchLengthPriceProof
from .levels import law_of
from .multipliers import Evaluator, Problem, Variables, prices_of, problem_of

#: Prices and shares in proofs are multiples of one over this.
SCALE = 2**20


@dataclass(frozen=True, slots=True)
class Stage:
    """One grid: intervals up to the schedule's end, most levels moved in one, share of the time.

    Attributes
    ----------
    intervals, moves : int
        About this many.
    share : float
        Of the time, or of the steps.
    """

    intervals: int
    moves: int
    share: float


#: Coarse to fine.
STAGES = (Stage(47, 13, 0.15), Stage(94, 15, 0.25), Stage(188, 19, 0.6))

#: Rate of the ascent and temperature (in intervals), at the beginning and the end of a stage.
RATES, HEATS = (0.15, 0.01), (0.03, 0.002)


def charge_bound(
    instance: Instance,
    schedule: ContinuousSchedule,
    *,
    seconds: float = 60.0,
    steps: int | None = None,
    stop: Callable[[], bool] | None = None,
    stages: tuple[Stage, ...] = STAGES,
    threads: int = 2,
) -> Iterator[tuple[int, BatchLengthPriceProof]]:
    """Yield better and better lower bounds on the total latency, with their proofs.

    Parameters
    ----------
    instance : Instance
        An instance of continuous batching.
    schedule : ContinuousSchedule
        A feasible schedule: its end and the requests present in it are where the prices start.
    seconds : float
        Wall-clock time, about.
    steps : int, optional
        Steps of ascent; then the clock is not looked at.
    stop : callable, optional
        Asked at each step whether to end.
    stages : tuple of Stage
        Grids, coarse to fine.
    threads : int
        At most this many at once; by steps the bounds do not depend on it.

    Yields
    ------
    (int, BatchLengthPriceProof)
        The bound as the proof gives it, rounded up: latencies are whole.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[8, 8], output=[1, 1])
    >>> schedule = ContinuousSchedule([Batch(0, prefill=((0, 8),)), Batch(1, prefill=((1, 8),))])
    >>> max(bound for bound, _ in charge_bound(instance, schedule, steps=60))
    3
    """
    completion = (schedule.completion(instance) - instance.arrival.min()).astype(float)
    best, deadline = 0, time.monotonic() + seconds
    v: Variables | None = None
    before = 1.0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for number, stage in enumerate(stages):
            delta = max(1, int(completion.max()) // stage.intervals)
            problem = _grid(instance, delta, stage.moves, float(completion.max()))
            v = _start(problem, completion) if v is None else _refined(v, problem, delta / before)
            before = delta
            left = sum(each.share for each in stages[number:])
            ascent = _Ascent(Evaluator(problem, pool), v)
            limit = steps and max(1, round(steps * stage.share))
            for found in ascent.run(deadline, stage.share / left, limit, stop):
                proof = proof_of(problem, found)
                bound = proof.bound(instance, "latency", Clock(None))
                if -(-bound // 1) > best:
                    best = int(-(-bound // 1))
                    yield best, proof
            v = ascent.best
            if (stop is not None and stop()) or (steps is None and time.monotonic() >= deadline):
                return


def _grid(instance: Instance, delta: int, moves: int, end: float) -> Problem:
    law = law_of(instance)
    pace = law.c0 + law.c2 + law.c3 * (float(instance.prompt.min()) + 1)
    return problem_of(instance, delta, max(1, round(delta / (pace * moves))), end)


def _start(problem: Problem, completion: FloatArray) -> Variables:
    """Return prices and shares by the number of requests present in a schedule."""
    K, n, delta = problem.grid.intervals, problem.n, problem.grid.delta
    begin = np.arange(K) * delta
    present = (problem.levels.arrival[:, None] < begin + delta) & (completion[:, None] > begin)
    number = present.sum(axis=0) + 0.3
    shares = np.full((n + 4, K), -0.5)
    shares[:n] = np.where(present, -1 - np.log(number), -8 - np.log(n))
    shares[n + 1] = -3.0
    few = np.log(0.1 * number)
    return Variables(np.log(0.7 * number), few, few.copy(), shares)


def _refined(v: Variables, problem: Problem, ratio: float) -> Variables:
    """Return the variables on a finer grid, interpolated."""
    x = (np.arange(problem.grid.intervals) + 0.5) * ratio
    old = np.arange(v.gpu.size) + 0.5
    shares = np.stack([np.interp(x, old, row) for row in v.shares])
    gpu, kv, seat = (np.interp(x, old, row) for row in v[:3])
    return Variables(gpu, kv, seat, shares)


class _Ascent:
    """Adam (arXiv 1412.6980) on the logarithms and logits, its rate and its heat falling."""

    def __init__(self, evaluator: Evaluator, v: Variables) -> None:
        self.evaluator, self.v, self.best = evaluator, v, v
        self.bound = -np.inf
        self.mean = [np.zeros_like(x) for x in v]
        self.square = [np.zeros_like(x) for x in v]

    def run(
        self, deadline: float, share: float, limit: int | None, stop: Callable[[], bool] | None
    ) -> Iterator[Variables]:
        """Step until the time is up; yield the best variables now and then, and at the end."""
        began = time.monotonic()
        length = max(1e-3, share * (deadline - began))
        step, shown, look = 0, -np.inf, 0.5
        while True:
            done = step / limit if limit else (time.monotonic() - began) / length
            if done >= 1 or (stop is not None and stop()):
                break
            step += 1
            self._step(step, min(done, 1.0))
            if done >= look and self.bound > shown + 2e-3 * abs(shown):
                yield self.best
                shown, look = self.bound, look + 0.2
        if self.bound > shown:
            yield self.best

    def _step(self, step: int, done: float) -> None:
        delta = self.evaluator.problem.grid.delta
        rate = RATES[0] * (RATES[1] / RATES[0]) ** done
        heat = HEATS[0] * (HEATS[1] / HEATS[0]) ** done
        found = self.evaluator.evaluate(self.v, heat * delta)
        if found.bound > self.bound:
            self.bound, self.best = found.bound, self.v
        moved = []
        for q, (x, gradient) in enumerate(zip(self.v, found.gradient, strict=True)):
            g = gradient / delta
            self.mean[q] += 0.1 * (g - self.mean[q])
            self.square[q] += 0.01 * (g * g - self.square[q])
            size = np.sqrt(self.square[q] / (1 - 0.99**step)) + (1e-5 if q == 3 else 1e-3)
            moved.append(x + rate * self.mean[q] / (1 - 0.9**step) / size)
        self.v = Variables(*moved)


def proof_of(problem: Problem, v: Variables) -> BatchLengthPriceProof:
    """Return the proof that some variables give, rounded down to multiples of 1/`SCALE`."""
    prices, shares = prices_of(problem, v)
    law, grid = problem.law, problem.grid

    def whole(x: FloatArray) -> tuple[int, ...]:
        return tuple(np.floor(np.minimum(x, 2.0**30) * SCALE).astype(np.int64).tolist())

    request = np.floor(shares.request * SCALE).astype(np.int64)
    rows = []
    for k in range(grid.intervals):
        who = np.flatnonzero(request[:, k])
        rows.append(tuple(zip(who.tolist(), request[who, k].tolist(), strict=True)))
    return BatchLengthPriceProof(
        interval=int(grid.delta),
        tokens=int(grid.step),
        scale=SCALE,
        gpu=whole(prices.gpu),
        kv=whole(prices.kv * law.kv),
        seat=whole(prices.seat * law.running),
        seat_share=whole(shares.seat),
        token_share=whole(shares.token),
        kv_share=whole(shares.kv),
        request_share=tuple(rows),
    )
