"""The search for schedules of continuous batching, from the coarse to the fine.

Simple rules first; then list rules are annealed, which find when to admit many and when few; then
requests are taken out of the best schedule and put back one by one where they cost least, dropped
in between where that pays.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ....models.continuous.schedule import ContinuousSchedule
from ....models.instance import FloatArray, Instance, IntArray
from ....models.objectives import due_times
from ...random_stream import Stream, random_stream
from ...stages import Limits
from ..compiled_instance import CompiledInstance, compiled_instance
from . import annealing, ruin_and_recreate
from .list_schedule import Rule, decode, list_schedule, no_batches, ring_size
from .pace import part_of, rounds, temperatures
from .run_schedules import runs_of, schedule_of
from .runs import ALL_TIME, Costs, costs
from .starts import least_work, rule_of, simple_rules

#: What schedules are found by.
SIMPLE, ANNEALED, PLACED = "list rules", "annealed list rules", "ruin and recreate"

#: Share of the time in which list rules are annealed; then requests are put where they cost least.
RULES_SHARE = 0.25

#: Rounds of annealing of rules: segments of time, the hottest temperature as a share of the cost to
#: anneal, the share of the time.
ROUNDS = ((6, 3e-4, 0.2), (12, 1.5e-4, 0.2), (24, 1e-4, 0.25), (48, 7e-5, 0.35))

#: The coldest temperature of such a round, as a share of its hottest.
COLD = 3e-3

#: Share of what is left that each start of ruin and recreate gets, before the best goes on.
TRIAL_SHARE = 0.1

#: Temperatures of ruin and recreate, as shares of the cost to anneal.
HOTTEST, COLDEST = 1e-4, 1e-6

#: Prompt tokens that a batch may have at least, where limits are searched for.
LEAST_TOKENS = 32


def weights(instance: Instance, objective: str) -> tuple[FloatArray, float, FloatArray]:
    """Weights of the completions and of the makespan in the cost of an objective, and due times.

    The makespan is followed by the mean completion, so that what does not lengthen it counts too;
    for the reward earlier completions are a stand-in.
    """
    if objective == "makespan":
        return np.full(instance.n, 1e-3 / instance.n), 1.0, ALL_TIME
    if objective == "latency":
        return np.ones(instance.n), 0.0, ALL_TIME
    chosen = instance.reward if objective == "reward" else instance.weight
    largest = float(chosen.max())
    due = due_times(instance).astype(np.float64) if objective == "tardiness" else ALL_TIME
    return chosen / (largest if largest > 0 else 1.0), 0.0, due


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
        Gets every better schedule, and what it was found by.
    """

    instance: Instance
    objective: str
    seed: int
    found: Callable[[ContinuousSchedule, str], None]
    _numbers: CompiledInstance = field(init=False)
    _stream: Stream = field(init=False)
    _costs: Costs = field(init=False)
    _given: ContinuousSchedule | None = field(init=False, default=None)
    _simple: ContinuousSchedule | None = field(init=False, default=None)
    _rule: Rule | None = field(init=False, default=None)
    _rule_cost: float = field(init=False, default=math.inf)
    _best: ContinuousSchedule | None = field(init=False, default=None)
    _cost: float = field(init=False, default=math.inf)

    def __post_init__(self) -> None:
        self._numbers = compiled_instance(self.instance)
        self._stream = random_stream(self.seed)
        self._costs = costs(self._numbers, *weights(self.instance, self.objective))

    def try_rules(self, schedule: ContinuousSchedule | None, limits: Limits) -> None:
        """Play simple rules, and the order of a schedule; keep the best to begin with."""
        began = time.perf_counter()
        given = [] if schedule is None else [("", rule_of(self.instance, schedule))]
        self._given = schedule
        for _, rule in (*given, *simple_rules(self.instance)):
            self._take_rule(rule, ring_size(self._numbers, rule), SIMPLE)
            self._simple = self._best
            if limits.stop() or time.perf_counter() - began >= limits.seconds:
                return

    def improve(self, limits: Limits) -> None:
        """Anneal until the limits are reached: by clock for all the time, by work all steps."""
        began = time.perf_counter()
        self._anneal_rules(part_of(limits, RULES_SHARE))
        if limits.work is None:
            seconds = limits.seconds - (time.perf_counter() - began)
            self._place_requests(Limits(seconds, None, limits.stop))
        else:
            done = int(RULES_SHARE * limits.work)
            self._place_requests(Limits(limits.seconds, limits.work - done, limits.stop))

    def _anneal_rules(self, limits: Limits) -> None:
        """Anneal list rules on ever finer segments of time."""
        nothing = no_batches()
        for number, slices in rounds([share for _, _, share in ROUNDS], limits):
            segments, hottest, _ = ROUNDS[number]
            assert self._rule is not None
            landscape, rule = self._landscape(self._rule, segments)
            state = annealing.begin(landscape, rule, nothing)
            hottest *= self._to_anneal(state.cost[1])
            for each in slices:
                annealing.anneal(
                    landscape, state, self._stream, nothing, each.steps,
                    *temperatures(hottest, COLD * hottest, each),
                )  # fmt: skip
                if state.cost[1] < self._rule_cost:
                    better = state.best(landscape.width, landscape.depth)
                    self._take_rule(better, landscape.ring, ANNEALED)
                if limits.stop():
                    return

    def _place_requests(self, limits: Limits) -> None:
        """Take requests out, and put them back where they cost least, from several starts."""
        states = [self._placed(each) for each in self._starts()]
        shares = [TRIAL_SHARE] * len(states)
        for number, slices in rounds([*shares, 1.0 - sum(shares)], limits):
            last = number == len(states)
            state = min(states, key=lambda each: each.cost[1]) if last else states[number]
            scale = self._to_anneal(state.cost[1])
            for each in slices:
                ruin_and_recreate.ruin_and_recreate(
                    self._numbers, self._costs, state, self._stream, each.steps,
                    *temperatures(HOTTEST * scale, COLDEST * scale, each),
                )  # fmt: skip
                if state.cost[1] < self._cost:
                    self._take(schedule_of(self._numbers, state.best), PLACED)
                if limits.stop():
                    return

    def _starts(self) -> list[ContinuousSchedule]:
        """Schedules to start from: of annealed rules, of simple ones, and that given."""
        starts = [self._best, self._simple if self._simple is not self._best else None, self._given]
        return [each for each in starts if each is not None]

    def _placed(self, schedule: ContinuousSchedule) -> ruin_and_recreate.RuinState:
        """Let requests run as in a schedule, as far as they can without a break between drops."""
        runs, cost = runs_of(self.instance, self._numbers, self._costs, schedule)
        return ruin_and_recreate.begin(runs, least_work(self._numbers), cost)

    def _to_anneal(self, cost: float) -> float:
        """What a cost is above that of completions at the arrivals, which cannot be annealed."""
        return max(1.0, cost - self._cost_of(self.instance.arrival))

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
            self._numbers, self._costs.weight, self._costs.due, self._costs.last, width, rule.depth,
            ring_size(self._numbers, smallest), limits.running, limits.tokens, least,
        )  # fmt: skip
        return landscape, finer

    def _take_rule(self, rule: Rule, ring: int, by: str) -> None:
        """Keep a rule if it is the best so far, and its schedule if that is."""
        completion, _, _ = decode(self._numbers, rule, ring, no_batches(), False)
        cost = self._cost_of(completion)
        if cost < self._rule_cost:
            self._rule_cost, self._rule = cost, rule
        if cost < self._cost:
            self._take(list_schedule(self._numbers, rule), by)

    def _take(self, schedule: ContinuousSchedule, by: str) -> None:
        """Keep a schedule if it is the best so far, and hand it in."""
        cost = self._cost_of(schedule.completion(self.instance))
        if cost < self._cost:
            self._cost, self._best = cost, schedule
            self.found(schedule, by)

    def _cost_of(self, completion: IntArray) -> float:
        weight, due, last = self._costs.weight, self._costs.due, self._costs.last
        late = np.maximum(0, completion - due) if due.size else completion
        return float(weight @ late) + last * float(completion.max())
