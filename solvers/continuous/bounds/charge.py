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

Hence for every schedule the (weighted) latency is at least Σ_i min over i's profiles of [latency +
what it pays] less Σ Δ·(L + M·ν + B·σ).

**The minimum** is over paths of levels, interval by interval. Let x(t) be a profile's progress in
levels of G tokens, measured from the end. Its rounding ⌊x + u⌋, u uniform on [0, 1), moves by the
floor or the ceiling of the true move, and what is linear between levels is exact in the mean; the
prompt, and prefilling again, are rounded by numbers of their own. So the cheapest rounded path
costs no more than the profile if the costs of steps satisfy: (1) work and shares are linear in
progress; Σ h is convex, and interpolating it errs by at most G²/8 between levels, which is taken
off where its price falls. (2) w·E over an interval is at least w(first)·Δ·E(mean rate), by Jensen;
it is replaced by numbers at whole moves whose interpolation is below E: between j and j + 1 by one
line below E (`batch_shares.lengths`), and 0 for no move. (3) A request that is held for a time T
of the interval only pays T·(ν·kv + σ + w·L·E(x/T)) for x tokens; by a line a·r − b below E that is
at least T·(ν·kv + σ − w·L·b) + w·L·a·x. If w·L·b ≥ ν·kv + σ, at this level and the next, it is
least where T is all the time there is: Δ, or what is left after the arrival and the prompt. Else x
tokens pay at least x times the least of (ν·kv + σ + w·L·E(r))/r. So does the time of the last
tokens. Products of two numbers that depend on the rounding take the level before, where they are
lower.

**Tardiness.** Time costs a request w from the first interval on that begins at its deadline or
later, and nothing before: no more than its tardiness. Within an interval nothing changes.

The multipliers go up an ε-subgradient (`profile_flows`), first on a coarse grid.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ....models.continuous.schedule import ContinuousSchedule
from ....models.instance import FloatArray, Instance
from ....models.objectives import Exact, value_step
from ...certificates.clock import Clock
from ...certificates.continuous.batch_length_prices import BatchLengthPriceProof
from .levels import law_of
from .multipliers import THREADS, Evaluator, Problem, Variables, prices_of, problem_of

#: Prices and shares in proofs are multiples of one over this.
SCALE = 2**20


@dataclass(frozen=True, slots=True)
class Stage:
    """One grid: intervals up to the schedule's end, most levels moved in one, steps.

    Attributes
    ----------
    intervals, moves : int
        About this many.
    steps : int
        Before the next stage; a share of all if steps are limited.
    first, last : float
        Lengths of steps at its beginning and at its end.
    """

    intervals: int
    moves: int
    steps: int
    first: float = 0.1
    last: float = 0.05


#: Coarse to fine.
STAGES = (
    Stage(24, 13, 60, 0.2, 0.08), Stage(47, 13, 30, 0.1, 0.05), Stage(94, 13, 30, 0.08, 0.04),
    Stage(188, 13, 40, 0.05, 0.02), Stage(376, 13, 120, 0.03, 0.015),
    Stage(752, 13, 400, 0.02, 0.01),
)  # fmt: skip

#: The coarsest intervals are at most this part of the mean latency.
SHORTEST = 0.6

#: Most requests × intervals, for shorter intervals than planned.
MOST_SHARES = 2**24

#: Stages that are gone through where steps are limited.
LIMITED = 3

#: By clock, a stage is begun if there is time for this many steps, each of `GROWTH` times the last.
LEAST_STEPS, GROWTH = 12, 4.5

#: Length of a step at the very end.
END_RATE = 0.01

#: Steps over which gradients and their squares are averaged.
MEMORY = 10

#: What is added to a mean slope, of the three prices and of shares, so that steps stay short.
LEAST_SLOPES = (1e-3, 1e-3, 1e-3, 1e-5)

#: Temperature (in intervals) at the beginning and the end of a stage.
HEATS = (0.004, 0.0008)


def charge_bound(
    instance: Instance,
    schedule: ContinuousSchedule,
    *,
    objective: str = "latency",
    seconds: float = 60.0,
    steps: int | None = None,
    stop: Callable[[], bool] | None = None,
    stages: tuple[Stage, ...] = STAGES,
    threads: int = THREADS,
) -> Iterator[tuple[Exact, BatchLengthPriceProof]]:
    """Yield better and better lower bounds on the total latency, with their proofs.

    Parameters
    ----------
    instance : Instance
        An instance of continuous batching.
    schedule : ContinuousSchedule
        A feasible schedule: its end and the requests present in it are where the prices start.
    objective : {"latency", "weighted", "tardiness"}
        What is bounded.
    seconds : float
        Wall-clock time: it is looked at within steps, and time for a last verification is left.
    steps : int, optional
        Steps of ascent; then the clock is not looked at.
    stop : callable, optional
        Asked within each step whether to end.
    stages : tuple of Stage
        Grids, coarse to fine.
    threads : int
        At most this many at once; by steps the bounds do not depend on it.

    Yields
    ------
    (int or Fraction, BatchLengthPriceProof)
        The bound as the proof gives it, rounded up to a value that the objective may have.

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
    stages = stages if steps is None else stages[:LIMITED]
    plan = _Plan(stages, steps, time.monotonic() + seconds, stop)
    best, step = Fraction(0), value_step(instance, objective)
    end = float(completion.max())
    finer = _finer(instance, completion, stages)
    ascent: _Ascent | None = None
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for stage in stages:
            delta = max(1, int(end / (finer * stage.intervals)))
            problem = _grid(instance, delta, stage.moves, end, objective)
            if ascent is None:
                state = _begin(_start(problem, completion))
            else:
                state = ascent.on_grid(problem)
            ascent = _Ascent(Evaluator(problem, pool), state, plan)
            for found in ascent.run():
                proof = proof_of(problem, found)
                began = time.monotonic()
                bound = -(-Fraction(proof.bound(instance, objective, Clock(None))) // step) * step
                plan.verifying = time.monotonic() - began
                if bound > best:
                    best = bound
                    yield int(best) if best.denominator == 1 else best, proof
            if not plan.refine(ascent):
                return


def _finer(instance: Instance, completion: FloatArray, stages: tuple[Stage, ...]) -> float:
    """Return how much finer than planned the grids are: short latencies need short intervals."""
    latency = float((completion - (instance.arrival - instance.arrival.min())).mean())
    coarsest = float(completion.max()) / stages[0].intervals
    most = MOST_SHARES / (instance.n * stages[-1].intervals)
    return max(1.0, min(coarsest / (SHORTEST * latency), most))


class _Plan:
    """Which stage it is, and what is left of the time or the steps."""

    def __init__(
        self,
        stages: tuple[Stage, ...],
        steps: int | None,
        deadline: float,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.stages, self.steps, self.deadline, self.stop = stages, steps, deadline, stop
        self.number = 0
        self.verifying = 0.0

    @property
    def target(self) -> int:
        """Steps of this stage."""
        own = self.stages[self.number].steps
        if self.steps is None:
            return own
        return max(1, self.steps * own // sum(stage.steps for stage in self.stages))

    @property
    def is_last(self) -> bool:
        """Whether there is no finer stage."""
        return self.number == len(self.stages) - 1

    def left(self) -> float:
        """Return the seconds for steps: a last verification's are set aside."""
        if self.steps is not None:
            return math.inf
        return self.deadline - time.monotonic() - 1.2 * self.verifying

    def is_over(self) -> bool:
        """Whether to end at once."""
        return (self.stop is not None and self.stop()) or self.left() <= 0

    def goes_on(self, seconds: float) -> bool:
        """Whether to go on in this stage after its steps, of some seconds each."""
        if self.steps is not None:
            return False
        finer = GROWTH * (LEAST_STEPS * seconds + self.verifying)
        return self.is_last or finer > self.left()

    def refine(self, ascent: _Ascent) -> bool:
        """Go to the next stage, if there is one and time for it."""
        if self.is_last or self.is_over() or ascent.has_gone_on:
            return False
        self.number += 1
        self.verifying *= GROWTH
        return True


def _grid(instance: Instance, delta: int, moves: int, end: float, objective: str) -> Problem:
    law = law_of(instance)
    pace = law.c0 + law.c2 + law.c3 * (float(instance.prompt.min()) + 1)
    return problem_of(instance, delta, max(1, round(delta / (pace * moves))), end, objective)


def _unit(problem: Problem) -> float:
    """Return what a unit of time costs a request, in the mean."""
    return float(problem.levels.weight.mean()) or 1.0


def _start(problem: Problem, completion: FloatArray) -> Variables:
    """Return prices and shares by the requests present in a schedule."""
    K, n, delta = problem.grid.intervals, problem.n, problem.grid.delta
    begin = np.arange(K) * delta
    present = (problem.levels.arrival[:, None] < begin + delta) & (completion[:, None] > begin)
    number = present.sum(axis=0) + 0.3
    paid = problem.levels.weight * (completion >= problem.levels.due)
    cost = paid @ present + 0.3 * _unit(problem)
    shares = np.full((n + 4, K), -0.5)
    shares[:n] = np.where(present, -1 - np.log(number), -8 - np.log(n))
    shares[n + 1] = -3.0
    few = np.log(0.1 * cost)
    return Variables(np.log(0.7 * cost), few, few.copy(), shares)


def _refined(v: Variables, problem: Problem, ratio: float) -> Variables:
    """Return the variables on a finer grid, interpolated."""
    x = (np.arange(problem.grid.intervals) + 0.5) * ratio
    old = np.arange(v.gpu.size) + 0.5
    shares = np.stack([np.interp(x, old, row) for row in v.shares])
    gpu, kv, seat = (np.interp(x, old, row) for row in v[:3])
    return Variables(gpu, kv, seat, shares)


class _State(NamedTuple):
    """Variables, the running means of their gradients and of the squares, and steps so far."""

    v: Variables
    mean: Variables
    square: Variables
    steps: int


def _begin(v: Variables) -> _State:
    nothing = Variables(*(np.zeros_like(x) for x in v))
    return _State(v, nothing, nothing, 0)


class _Ascent:
    """Adam (arXiv 1412.6980) on the logarithms and logits, its rate and its heat falling."""

    def __init__(self, evaluator: Evaluator, state: _State, plan: _Plan) -> None:
        self.evaluator, self.state, self.best, self.plan = evaluator, state, state.v, plan
        self.delta = evaluator.problem.grid.delta
        self.unit = self.delta * _unit(evaluator.problem)
        self.bound, self.taken = -np.inf, 0
        self.has_gone_on = False

    def on_grid(self, problem: Problem) -> _State:
        """Return the best variables and the latest means on another grid.

        Gradients are in units of an interval's cost, so that means hold on any grid. Without them
        the first steps are as long for shares that hardly matter as for any other, and the bound
        falls before it rises.
        """
        ratio = problem.grid.delta / self.delta
        _, mean, square, steps = self.state
        v, mean, square = (_refined(x, problem, ratio) for x in (self.best, mean, square))
        return _State(v, mean, square, steps)

    def run(self) -> Iterator[Variables]:
        """Take the steps of the stage, and all that there is time for if no finer one follows.

        Yields the best variables now and then, and at the end.
        """
        plan, shown = self.plan, -np.inf
        if plan.number == 0:  # a bound at once; and compiled code is loaded before times count
            yield self.best
        began, length = time.monotonic(), max(plan.left(), 1e-9)
        stage = plan.stages[plan.number]
        first, last = stage.first, END_RATE if plan.is_last and plan.steps else stage.last
        while self.taken < plan.target:
            done, used = self.taken / plan.target, (time.monotonic() - began) / length
            end = last
            if used > done:
                done, end = used, min(END_RATE, last)
            heat = HEATS[0] * (HEATS[1] / HEATS[0]) ** done
            if not self._step(first * (end / first) ** done, heat):
                break
        if self.bound > shown:
            shown = self.bound
            yield self.best
        self.has_gone_on = plan.goes_on((time.monotonic() - began) / max(1, self.taken))
        if not self.has_gone_on:
            return
        began, length, look = time.monotonic(), plan.left(), 0.5
        while (done := (time.monotonic() - began) / length) < 1:
            if not self._step(last * (min(END_RATE, last / 2) / last) ** done, HEATS[1]):
                break
            if done >= look and self.bound > shown + 1e-3 * abs(shown):
                yield self.best
                shown, look = self.bound, look + 0.25
        if self.bound > shown:
            yield self.best

    def _step(self, rate: float, heat: float) -> bool:
        """Take a step, unless the time is up within it."""
        v, mean, square, steps = self.state
        found = self.evaluator.evaluate(v, heat * self.unit, self.plan.is_over)
        if found is None:
            return False
        self.taken += 1
        if found.bound > self.bound:
            self.bound, self.best = found.bound, v
        g = [each / self.unit for each in found.gradient]
        mean = Variables(*(m + (x - m) / MEMORY for m, x in zip(mean, g, strict=True)))
        square = Variables(*(q + (x * x - q) / MEMORY for q, x in zip(square, g, strict=True)))
        begun = 1 - (1 - 1 / MEMORY) ** (steps + 1)
        moved = (
            x + rate * (m / begun) / (np.sqrt(q / begun) + least)
            for x, m, q, least in zip(v, mean, square, LEAST_SLOPES, strict=True)
        )
        self.state = _State(Variables(*moved), mean, square, steps + 1)
        return True


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
