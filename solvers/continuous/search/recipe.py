"""The search for schedules of continuous batching: list rules annealed, coarse to fine in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ....models.continuous.schedule import ContinuousSchedule
from ....models.instance import FloatArray, Instance
from ...random_stream import Stream, random_stream
from ...stages import Limits
from ..compiled_instance import CompiledInstance, compiled_instance
from . import annealing
from .list_schedule import Rule, list_schedule, no_batches, ring_size
from .starts import rule_of, simple_rules

#: Rounds of annealing: segments of time, the hottest temperature as a share of the cost to anneal,
#: the share of the time. When all are over, the last is repeated.
ROUNDS = ((6, 3e-4, 0.2), (12, 1.5e-4, 0.2), (24, 1e-4, 0.25), (48, 7e-5, 0.35))

#: The coldest temperature of a round, as a share of its hottest.
COLD = 3e-3

#: Seconds of annealing between two looks at the clock.
SLICE_SECONDS = 0.05

#: Steps between two looks where work is limited.
SLICE_STEPS = 64

#: Prompt tokens that a batch may have at least, where limits are searched for.
LEAST_TOKENS = 32


def weights(instance: Instance, objective: str) -> tuple[FloatArray, float]:
    """Weights of the completions and of the makespan in the cost of an objective.

    The makespan is followed by the mean completion, so that what does not lengthen it counts too;
    for the reward earlier completions are a stand-in.
    """
    if objective == "makespan":
        return np.full(instance.n, 1e-3 / instance.n), 1.0
    if objective == "latency":
        return np.ones(instance.n), 0.0
    chosen = instance.weight if objective == "weighted" else instance.reward
    largest = float(chosen.max())
    return chosen / (largest if largest > 0 else 1.0), 0.0


@dataclass(slots=True)
class Search:
    """A search for schedules, which can be run on and on.

    Parameters
    ----------
    instance : Instance
        What is scheduled.
    objective : str
        Its objective.
    seed : int
        Seed of the annealing.
    found : callable
        Gets every better schedule.
    """

    instance: Instance
    objective: str
    seed: int
    found: Callable[[ContinuousSchedule], None]
    _numbers: CompiledInstance = field(init=False)
    _stream: Stream = field(init=False)
    _weight: FloatArray = field(init=False)
    _last: float = field(init=False)
    _rule: Rule | None = field(init=False, default=None)
    _cost: float = field(init=False, default=math.inf)

    def __post_init__(self) -> None:
        self._numbers = compiled_instance(self.instance)
        self._stream = random_stream(self.seed)
        self._weight, self._last = weights(self.instance, self.objective)

    def try_rules(self, schedule: ContinuousSchedule | None, limits: Limits) -> None:
        """Play simple rules, and the order of a schedule; keep the best to begin with."""
        began = time.perf_counter()
        given = [] if schedule is None else [("", rule_of(self.instance, schedule))]
        for _, rule in (*given, *simple_rules(self.instance)):
            self._take(rule, ring_size(self._numbers, rule))
            if limits.stop() or time.perf_counter() - began >= limits.seconds:
                return

    def improve(self, limits: Limits) -> None:
        """Anneal until the limits are reached: by clock for all the time, by work all steps."""
        assert self._rule is not None
        began = time.perf_counter()
        steps, done = limits.steps(), 0
        for segments, hottest, share in (*ROUNDS, *(ROUNDS[-1] for _ in range(1000))):
            if steps is not None:
                until = min(steps, done + int(share * steps) + 1)
                done = self._round(segments, hottest, limits, done, until, math.inf, began)
                if done >= steps:
                    return
                continue
            left = limits.seconds - (time.perf_counter() - began)
            if left <= 0 or limits.stop():
                return
            seconds = min(left, max(share * limits.seconds, SLICE_SECONDS))
            self._round(segments, hottest, limits, 0, 2**62, seconds, time.perf_counter())

    def _round(
        self,
        segments: int,
        hottest: float,
        limits: Limits,
        done: int,
        until: int,
        seconds: float,
        began: float,
    ) -> int:
        """Anneal at falling temperatures; return how many steps are done since the beginning."""
        assert self._rule is not None
        landscape, rule = self._landscape(self._rule, segments)
        nothing = no_batches()
        state = annealing.begin(landscape, rule, nothing)
        first, hot = done, hottest * max(1.0, self._cost - self._floor())
        by_work = seconds == math.inf
        slice_steps, part = SLICE_STEPS if by_work else 1, 0.0
        while part < 1.0 and not limits.stop():
            cold = part
            slice_began = time.perf_counter()
            count = min(slice_steps, until - done)
            if by_work:
                part = (done + count - first) / max(1, until - first)
            else:
                part = min(1.0, (slice_began + SLICE_SECONDS - began) / seconds)
            annealing.anneal(
                landscape, state, self._stream, nothing, count,
                hot * COLD**cold, hot * COLD**part,
            )  # fmt: skip
            done += count
            if not by_work:
                taken = max(1e-6, time.perf_counter() - slice_began)
                slice_steps = max(1, min(4 * slice_steps, int(count * SLICE_SECONDS / taken)))
                if slice_began - began >= seconds:
                    break
            if state.cost[1] < self._cost:
                self._take(state.best(landscape.width, landscape.depth), landscape.ring)
        return done

    def _floor(self) -> float:
        """Cost of completions at the arrivals: only what is above it can be annealed away."""
        last = float(self.instance.arrival.max())
        return float(self._weight @ self.instance.arrival) + self._last * last

    def _landscape(self, rule: Rule, segments: int) -> tuple[annealing.Landscape, Rule]:
        """Return what is annealed over, and the rule with this many segments."""
        limits = self._numbers.limits
        end = int(list_schedule(self._numbers, rule).completion(self.instance).max())
        width = max(1, -(-end // segments))
        middle = np.arange(segments) * width + width // 2
        at = np.minimum(middle // rule.width, rule.running.size - 1)
        least = min(LEAST_TOKENS, limits.tokens)
        finer = Rule(
            rule.order,
            np.minimum(rule.running[at], limits.running),
            np.clip(rule.prompt_tokens[at], least, limits.tokens),
            width,
            rule.depth,
        )
        smallest = finer._replace(prompt_tokens=np.array([least], dtype=np.int64))
        landscape = annealing.Landscape(
            self._numbers, self._weight, self._last, width, rule.depth,
            ring_size(self._numbers, smallest), limits.running, limits.tokens, least,
        )  # fmt: skip
        return landscape, finer

    def _take(self, rule: Rule, ring: int) -> None:
        """Keep a rule if it is the best so far, and hand in its schedule."""
        landscape = annealing.Landscape(
            self._numbers, self._weight, self._last, rule.width, rule.depth, ring, 0, 0, 0
        )
        cost = annealing.cost(landscape, rule, no_batches())
        if cost < self._cost:
            self._cost, self._rule = cost, rule
            self.found(list_schedule(self._numbers, rule))
