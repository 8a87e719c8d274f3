"""Policies beside the hindsight optimum."""

from contextlib import suppress
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from batchprophet.models.errors import BatchprophetError, DoesNotFinish, InputError, PolicyError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.metrics import measure
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import evaluate
from batchprophet.online.evaluation import Comparison, PolicyResult, compare
from batchprophet.online.mixed.policies.mc_sf import McSf
from batchprophet.online.mixed.policy import BUILT_IN, REGISTRY, Decision, make_policy
from batchprophet.online.mixed.simulator import simulate
from batchprophet.solvers.mixed.bounds.combinatorial import all_bounds
from batchprophet.solvers.solution import certified
from tests.brute_force import brute_force
from tests.strategies import random_instance
from tests.tiny_instances import tiny_instance


def wide_and_narrow():
    """M = 9: a wide request (7, 2), two narrow ones (1, 1) behind it."""
    return Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0, 0], prompt=[7, 1, 1], output=[2, 1, 1])


def test_ratios_against_an_optimum_by_hand():
    # FCFS: the wide one ends at 2, the others at 3: 2 + 3 + 3 = 8. Shortest first: 1 + 1 + 3 = 5,
    # which is optimal: the wide one fits with none, so either it or both of them wait.
    comparison = compare(wide_and_narrow(), ["mc-benchmark", "mc-sf"], time_limit=20)
    fcfs, shortest = comparison.results
    assert comparison.solution.status == "optimal"
    assert (comparison.best_known, comparison.best_known_by) == (5, "hindsight")
    assert comparison.lower_bound == 5
    assert (comparison.value(fcfs), comparison.value(shortest)) == (8, 5)
    assert comparison.ratio_to_best(fcfs) == comparison.ratio_to_bound(fcfs) == 8 / 5
    assert comparison.ratio_to_best(shortest) == 1.0
    assert fcfs.metrics == measure(comparison.instance, fcfs.schedule)
    assert fcfs.verdict == ""


def test_every_policy_is_at_least_the_optimum():
    rng = np.random.default_rng(2)
    for seed in range(6):
        instance = random_instance(rng, 5, capacity=(8, 14))
        comparison = compare(instance, time_limit=20, seed=seed)
        assert [result.policy for result in comparison.results] == list(REGISTRY.by_default)
        for result in comparison.results:
            if result.schedule is None:
                assert result.verdict.startswith("does not finish: ")
                assert comparison.ratio_to_best(result) is None
                assert comparison.ratio_to_bound(result) is None
                continue
            assert check_mixed(instance, result.schedule) == []
            to_best, to_bound = comparison.ratio_to_best(result), comparison.ratio_to_bound(result)
            assert 1 <= to_best <= to_bound


SPECIFICATIONS = [
    *BUILT_IN,
    "mc-sf:skip=true",
    "mc-sf:lengths=predicted,error=1",
    "mc-benchmark:skip=true",
    "smallest-volume:skip=true",
    "shortest-total:skip=true",
    "alpha-greedy:alpha=0.5",
    "alpha-beta:alpha=0.01,beta=0.5",
    "vllm:max_requests=2",
]


def test_every_policy_is_at_least_the_optimum_and_that_at_least_every_bound():
    policies, finished = [make_policy(specification) for specification in SPECIFICATIONS], 0
    for seed in range(300):
        instance = tiny_instance([21, seed])
        optimum, _ = brute_force(instance)
        assert all(bound <= optimum for _, bound in all_bounds(instance))
        for policy in policies:
            with suppress(DoesNotFinish):
                schedule = simulate(instance, policy, seed=seed)
                assert check_mixed(instance, schedule) == []
                assert evaluate(instance, schedule.completion(instance), "latency") >= optimum
                finished += 1
    assert finished > 0.8 * 300 * len(SPECIFICATIONS)


def test_a_policy_that_does_not_finish_has_a_verdict():
    instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0, 0], prompt=[1, 1], output=[9, 9])
    comparison = compare(instance, ["alpha-greedy:alpha=0.1"], time_limit=20)
    (result,) = comparison.results
    assert (result.schedule, result.metrics) == (None, None)
    assert result.verdict == (
        "does not finish: alpha-greedy cycles: at round 9 the same 2 requests are evicted once "
        "more, with no completion in between"
    )
    # Hindsight, which may let the second wait, has a schedule all the same.
    assert comparison.best_known_by == "hindsight"


def comparison_of(instance, starts, bound, objective="latency", **policy_starts):
    """A comparison made by hand: a solution, and schedules by policy."""
    bounds = () if bound is None else (("by hand", bound),)
    solution = certified(
        instance,
        MixedSchedule(starts),
        objective_name=objective,
        bounds=bounds,
        method="hand",
        seconds=0.0,
    )
    results = tuple(
        PolicyResult(
            policy=name, schedule=MixedSchedule(start), metrics=None, verdict="", seconds=0.0
        )
        for name, start in policy_starts.items()
    )
    return Comparison(instance=instance, solution=solution, results=results)


def test_a_policy_may_be_better_than_an_unproved_solution():
    # The solution stopped at 8 with bound 4; "better" has 5, "equal" as well: the first counts.
    comparison = comparison_of(
        wide_and_narrow(), [0, 2, 2], 4, better=[1, 0, 0], equal=[1, 0, 0], worse=[0, 2, 3]
    )
    assert (comparison.best_known, comparison.best_known_by) == (5, "better")
    assert comparison.lower_bound == 4
    better, _, worse = comparison.results
    assert (comparison.ratio_to_best(better), comparison.ratio_to_bound(better)) == (1, 5 / 4)
    assert (comparison.ratio_to_best(worse), comparison.ratio_to_bound(worse)) == (9 / 5, 9 / 4)


def test_ratios_are_none_without_a_bound_or_at_zero():
    without = comparison_of(wide_and_narrow(), [1, 0, 0], None, p=[0, 2, 2])
    assert without.lower_bound is None
    assert without.ratio_to_bound(without.results[0]) is None
    assert without.ratio_to_best(without.results[0]) == 8 / 5
    at_zero = comparison_of(wide_and_narrow(), [1, 0, 0], 0, p=[0, 2, 2])
    assert at_zero.ratio_to_bound(at_zero.results[0]) is None


def test_reward_is_maximised():
    # By the horizon 1 the two narrow ones can be done (reward 2 of 3); FCFS has none of them.
    instance = wide_and_narrow().replace(horizon=1)
    comparison = comparison_of(instance, [1, 0, 0], 3, "reward", fcfs=[0, 2, 2], equal=[2, 0, 0])
    fcfs, equal = comparison.results
    assert (comparison.best_known, comparison.best_known_by) == (2, "hindsight")
    assert (comparison.lower_bound, comparison.bound) == (2, 3)
    assert (comparison.ratio_to_best(fcfs), comparison.ratio_to_bound(fcfs)) == (0, 0)
    assert comparison.ratio_to_best(equal) == 1
    assert comparison.ratio_to_bound(equal) == pytest.approx(2 / 3)


def test_values_are_exact_for_fractional_weights():
    # Σ w·c = 0.1·3 + 0.2·1 + 1 = 1.5 exactly.
    instance = wide_and_narrow().replace(weight=[0.1, 0.2, 1.0])
    comparison = comparison_of(instance, [1, 0, 0], None, "weighted", p=[1, 0, 0])
    assert comparison.value(comparison.results[0]) == Fraction(3, 2)


def test_policies_are_named_by_their_specification():
    policies = ["mc-sf:skip=true", McSf(lengths="predicted", error=1.0)]
    comparison = compare(wide_and_narrow(), policies, time_limit=20)
    assert [result.policy for result in comparison.results] == [
        "mc-sf:skip=true",
        "mc-sf:lengths=predicted,error=1.0",
    ]


def test_bad_policies_and_objectives_are_refused_before_anything_runs():
    with pytest.raises(InputError, match="did you mean vllm"):
        compare(wide_and_narrow(), ["mc-sf", "vlm"])
    with pytest.raises(InputError, match=r"^objective: expected one of latency, .*found 'speed'$"):
        compare(wide_and_narrow(), objective="speed")


class Broken:
    """Starts everything at once, and its compiled code claims the same."""

    name: ClassVar[str] = "broken"
    summary: ClassVar[str] = "a test"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def decide(self, observation, rng):
        return Decision(start=tuple(view.index for view in observation.waiting))


class BrokenCompiled(Broken):
    """Claims an infeasible schedule."""

    def run_compiled(self, instance, told, rng):
        return MixedSchedule(instance.arrival)


def test_a_policy_against_the_rules_is_an_error_not_a_verdict():
    with pytest.raises(PolicyError, match=r"^policy broken at round 0: round 1 would hold 12"):
        compare(wide_and_narrow(), [Broken()])
    with pytest.raises(
        BatchprophetError,
        match=r"^policy broken: made an infeasible schedule: KV capacity 9 exceeded by 3 tokens",
    ):
        compare(wide_and_narrow(), [BrokenCompiled()])
