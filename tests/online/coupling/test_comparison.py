"""Whole decisions compared over sampled futures: weights, plans that come true, ties to theory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from batchprophet.models.families import make_instance
from batchprophet.models.instance import Instance
from batchprophet.models.regimes import schedule_value
from batchprophet.online.coupling.bayes_selector import least_regretted
from batchprophet.online.coupling.comparison import least_mean
from batchprophet.online.coupling.futures import Future
from batchprophet.online.coupling.plans import GONE, names_now
from batchprophet.online.separate.policies import Bayes, BayesRun
from batchprophet.online.separate.simulator import simulate_separate
from batchprophet.solvers.random_stream import random_stream


@dataclass
class Table:
    """A future in which costs are known: of what is decided, and as a number of steps improves."""

    costs: dict[str, float]
    name: int = 0
    cost: float = 0.0
    steps: int = 0

    def key(self) -> int:
        return self.name

    def solve(self, steps: int, stream: object) -> None:
        self.steps += steps

    def after(self, decision: str) -> Table:
        return Table(self.costs, self.name, self.costs[decision])


def test_the_least_mean_cost_is_the_least_mean_compensation() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        costs = [dict(zip("abc", rng.integers(0, 9, 3).tolist(), strict=True)) for _ in range(5)]
        worlds = [Table(each, name) for name, each in enumerate(costs)]
        decision, after = least_mean(worlds, list("abc"), 7, random_stream(0))
        compensations = {a: sum(each[a] - min(each.values()) for each in costs) for a in "abc"}
        assert decision == least_regretted(compensations)
        assert [world.cost for world in after] == [each[decision] for each in costs]
        assert [world.steps for world in after] == [7] * 5


def test_equal_futures_are_one_with_their_best_schedule() -> None:
    # In the future 0 the schedules tell 2 for a and 4 for b, in the other 7 and 6: b would be
    # better by the mean of all three, a is by that of the futures, each as often as it is drawn.
    costs = [(0, {"a": 2, "b": 4}), (0, {"a": 9, "b": 5}), (1, {"a": 7, "b": 6})]
    decision, _ = least_mean([Table(c, name) for name, c in costs], ["b", "a"], 0, random_stream(0))
    assert decision == "a"


def test_who_did_not_come_has_no_place_any_more() -> None:
    future = Future(np.array([2, 3, 9]), np.array([1, 1, 1]), np.array([4, 5, 6]))
    assert names_now([-1, -2, -3], future, {7: (3, 1, 5)}, 4) == [GONE, 7, -3]
    assert names_now([-1, -2, -3], future, {}, 4, others=[]) == [GONE, GONE, GONE]


class Truth:
    """A law that knows the instance."""

    def __init__(self, instance: Instance) -> None:
        self.columns = instance.arrival, instance.prompt, instance.output

    def draw(self, past, rng):  # type: ignore[no-untyped-def]  # a law
        to_come = self.columns[0] > past.time
        return Future(*(column[to_come] for column in self.columns))

    def output(self, view, tokens, past, rng):  # type: ignore[no-untyped-def]  # a law
        raise NotImplementedError


class Followed(BayesRun):
    """A run that notes the costs of its plans."""

    def __init__(self, policy: Bayes, instance: Instance) -> None:
        super().__init__(policy, Truth(instance))
        self.instance, self.values = instance, []

    def plan(self, observation, world):  # type: ignore[no-untyped-def]  # as the run's
        self.values.append(world.cost)
        return super().plan(observation, world)


@pytest.mark.parametrize("seed", range(6))
def test_told_the_future_it_follows_its_plan_and_only_leaves_it_for_a_better_one(seed: int) -> None:
    """It costs no more than the best schedule of its first decision."""
    instance = make_instance("separate-random", seed=seed, settings={"n": 12, "span": 15})
    run = Followed(Bayes(samples=3, effort=100), instance)
    schedule = simulate_separate(instance, run, seed=seed)
    assert schedule_value(instance, schedule) <= min(run.values[:3])


def test_without_a_search_it_goes_on_with_the_best_list_schedule() -> None:
    instance = make_instance("separate-random", seed=1, settings={"n": 12, "span": 15})
    run = Followed(Bayes(samples=1, effort=0), instance)
    schedule = simulate_separate(instance, run)
    assert schedule_value(instance, schedule) <= run.values[0]
