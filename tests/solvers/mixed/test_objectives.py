"""The engine beyond the total latency: weighted completion, tardiness, reward, makespan."""

from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import MAXIMISED, evaluate, value_step
from batchprophet.solvers.certificates.clock import Clock, Contradicted
from batchprophet.solvers.certificates.mixed.by_deadline import DeadlineProof
from batchprophet.solvers.certificates.mixed.configuration_prices import ConfigurationPriceProof
from batchprophet.solvers.certificates.mixed.exhaustive_search import ExhaustiveSearch
from batchprophet.solvers.certificates.mixed.layer_search import better_than
from batchprophet.solvers.certificates.mixed.price_table import PriceTable
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed.bounds import configuration_dual
from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
from batchprophet.solvers.mixed.completion_costs import (
    by_deadline,
    completion_costs,
    steps_of,
    value_of,
)
from batchprophet.solvers.mixed.exact import excess, expansion, lookahead
from batchprophet.solvers.mixed.exact.proof import prove
from batchprophet.solvers.mixed.proofs.price_tables import price_table
from batchprophet.solvers.mixed.search import annealing, polish
from tests.brute_force import brute_force
from tests.tiny_instances import OBJECTIVES, tiny_limited_instance

SUMS = ("latency", "weighted", "tardiness", "reward")


def alike(seed, most_requests=5):
    """A tiny instance in which requests of the same prompt and output are frequent."""
    rng = np.random.default_rng(seed)
    M, n = int(rng.integers(4, 11)), int(rng.integers(1, most_requests + 1))
    kinds = []
    for _ in range(int(rng.integers(1, 4))):
        s = int(rng.integers(1, M))
        kinds.append((s, int(rng.integers(1, M - s + 1)), *(rng.integers(0, 5, 2) / 2)))
    chosen = [kinds[k] for k in rng.integers(0, len(kinds), n)]
    of_kind = rng.random() < 0.5
    return Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=rng.integers(0, 6, n),
        prompt=[s for s, _, _, _ in chosen],
        output=[o for _, o, _, _ in chosen],
        weight=[w for _, _, w, _ in chosen] if of_kind else rng.integers(0, 5, n) / 2,
        reward=[r for _, _, _, r in chosen] if of_kind else rng.integers(0, 5, n) / 2,
        deadline=rng.integers(1, 16, n) if rng.random() < 0.7 else [int(rng.integers(3, 14))] * n,
        horizon=int(rng.integers(4, 14)),
    )


def any_table(instance, seed):
    """Prices that nobody has climbed to."""
    rng = np.random.default_rng(seed)
    pairs = zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
    types = sorted({(s + j, o - j) for s, o in pairs for j in range(1, o + 1)})
    shape = (int(rng.integers(2, 17)), len(types))
    price = rng.integers(0, 4, shape) * (rng.random(shape) < 0.4)
    price[0] = 0
    return PriceTable(scale=int(rng.integers(1, 7)), types=tuple(types), price=price)


def one_by_one(instance):
    start, now = np.zeros(instance.n, dtype=np.int64), 0
    for i in np.argsort(instance.arrival, kind="stable"):
        start[i] = max(now, int(instance.arrival[i]))
        now = int(start[i] + instance.output[i])
    return MixedSchedule(start)


def is_at_best(value, bound, objective):
    """Whether a bound does not cut a value off."""
    return bound >= value if objective in MAXIMISED else bound <= value


@pytest.mark.parametrize("objective", SUMS)
def test_costs_of_completions_are_the_objective(objective):
    rng = np.random.default_rng(0)
    for seed in range(200):
        instance = alike(seed)
        costs = completion_costs(instance, objective)
        completion = instance.arrival + instance.output + rng.integers(0, 20, instance.n)
        # All costs end at the horizon: what completes later than that counts as never.
        end = int(instance.arrival.max() + instance.output.sum())
        value = evaluate(instance, np.minimum(completion, end), objective)
        steps = Fraction(costs.of(np.minimum(completion, end)), costs.scale)
        assert value_of(instance, objective, steps) == value
        assert steps_of(instance, objective, value) == steps


@pytest.mark.parametrize("objective", SUMS)
def test_any_prices_prove_the_optimum_and_nothing_better(objective):
    for seed in range(150):
        instance, table = alike(seed), any_table(alike(seed), seed)
        best, _ = brute_force(instance, objective)
        prices = ConfigurationPriceProof(table=table).bound(instance, objective, Clock(None))
        assert is_at_best(best, prices, objective), seed
        steps = int(Fraction(best) / value_step(instance, objective))
        assert better_than(steps, instance, table, Clock(None), objective) is None, seed
        claim = ExhaustiveSearch(value=steps, table=table)
        assert claim.bound(instance, objective, Clock(None)) == best
        better = steps - 1 if objective in MAXIMISED else steps + 1
        if better >= 0:
            assert better_than(better, instance, table, Clock(None), objective) == best, seed
            with pytest.raises(Contradicted, match="nothing is proved"):
                ExhaustiveSearch(value=better, table=table).bound(instance, objective, Clock(None))


@pytest.mark.parametrize("objective", SUMS)
def test_the_search_of_states_agrees_with_brute_force(objective):
    for seed in range(150):
        instance, first = alike(seed), one_by_one(alike(seed))
        best, _ = brute_force(instance, objective)
        costs = completion_costs(instance, objective)
        work = int(np.random.default_rng(seed).integers(1, 200))
        prices = configuration_prices(instance, first, costs=costs, work_limit=work)
        table = price_table(instance, prices)
        proved = ConfigurationPriceProof(table=table).bound(instance, objective, Clock(None))
        found = value_of(instance, objective, prices.bound)
        assert is_at_best(proved, found, objective), "the table proves what the search found"
        outcome = prove(instance, first, prices, costs=costs)
        assert outcome.complete
        assert check_mixed(instance, outcome.schedule) == []
        completion = outcome.schedule.completion(instance)
        assert evaluate(instance, completion, objective) == best, seed
        assert value_of(instance, objective, outcome.bound) == best, seed


def test_a_deadline_is_refuted_iff_no_schedule_meets_it():
    refuted = 0
    for seed in range(150):
        instance, table = alike(seed), any_table(alike(seed), seed)
        best, _ = brute_force(instance, "makespan")
        alone = int((instance.arrival + instance.output).max())
        for value in range(max(1, best - 2), best + 3):
            prices = DeadlineProof(value=value, proof=ConfigurationPriceProof(table=table))
            assert prices.bound(instance, "makespan", Clock(None)) in {min(value, best), alone}
            states = DeadlineProof(value=value, proof=ExhaustiveSearch(value=1, table=table))
            if value > best:
                with pytest.raises(Contradicted):
                    states.bound(instance, "makespan", Clock(None))
            else:
                assert states.bound(instance, "makespan", Clock(None)) == value
                refuted += value > alone
            nothing = DeadlineProof(value=value, proof=ExhaustiveSearch(value=0, table=table))
            assert nothing.bound(instance, "makespan", Clock(None)) == alone
    assert refuted > 50


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_optimal_on_tiny_instances(objective):
    kinds = set()
    for seed in range(40):
        instance = alike(seed, most_requests=6)
        best, _ = brute_force(instance, objective)
        options = ({"work_limit": 3_000}, {"time_limit": 30, "threads": 1 + seed % 2})
        for limits in options[: 1 + (seed % 8 == 0)]:
            solution = solve(instance, objective=objective, **limits)
            assert (solution.objective, solution.status) == (best, "optimal"), (seed, limits)
            kinds.add(solution.certificate.proof.kind)
            assert verify(solution.certificate, instance, value=best).verified
            assert solution.certificate.bound == best
    assert kinds & {"configuration-prices", "exhaustive-search", "deadline"}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_limits_on_a_round_are_kept(objective):
    for seed in range(20):
        instance = tiny_limited_instance(seed)
        if objective == "tardiness":
            instance = instance.replace(deadline=instance.arrival + 3, horizon=None)
        best, _ = brute_force(instance, objective)
        solution = solve(instance, objective=objective, work_limit=2_000)
        assert (solution.objective, solution.status) == (best, "optimal"), seed
        assert check_mixed(instance, solution.schedule) == []


@pytest.mark.parametrize("objective", ["weighted", "makespan"])
def test_the_same_work_gives_the_same_solution(objective):
    instance = make_instance("arrival-model-2", seed=5, settings={"n": 20})
    instance = instance.replace(weight=1 + np.arange(20) % 4)
    options = {"objective": objective, "work_limit": 5_000, "seed": 3}
    first, second = (solve(instance, **options) for _ in range(2))
    assert first.schedule == second.schedule
    assert first.bounds == second.bounds
    assert verify(first.certificate, instance).verified


def test_rewards_that_cannot_all_be_had_are_proved_at_thirty_requests():
    instance = make_instance("arrival-model-1", seed=4, settings={"n": 30})
    instance = instance.replace(reward=1 + np.arange(30) % 5, horizon=60)
    solution = solve(instance, objective="reward", work_limit=60_000)
    assert solution.bound < instance.reward.sum()
    assert solution.gap < 0.05
    assert verify(solution.certificate, instance).verified


def test_weights_too_fine_for_whole_numbers_go_to_the_milp():
    instance = make_instance("arrival-model-1", seed=4, settings={"n": 5})
    weight = [1.0, 1e-17, 3.0, 2.0, 1.0]
    instance = instance.replace(weight=weight)
    assert completion_costs(instance, "weighted") is None
    solution = solve(instance, objective="weighted", time_limit=20)
    assert "MILP" in solution.method
    best, _ = brute_force(instance, "weighted")
    assert solution.objective == pytest.approx(float(best))


def test_by_deadline_is_zero_iff_all_are_done():
    instance = alike(3)
    completion = instance.arrival + instance.output
    last = int(completion.max())
    assert by_deadline(instance, last).of(completion) == 0
    assert by_deadline(instance, last - 1).of(completion) > 0


def test_all_objectives_run_what_is_compiled_for_the_latency():
    # Arrays that cannot be written to would be another type, and compile everything once more.
    modules = (configuration_dual, annealing, polish, excess, expansion, lookahead)

    def compiled():
        functions = [f for module in modules for f in vars(module).values()]
        return [len(f.signatures) for f in functions if hasattr(f, "signatures")]

    instance = make_instance("arrival-model-1", seed=2, settings={"n": 10})
    instance = instance.replace(
        weight=1 + np.arange(10) % 3, horizon=40, deadline=instance.arrival + 20
    )
    solve(instance, work_limit=1_000)
    before = compiled()
    for objective in OBJECTIVES:
        solve(instance, objective=objective, work_limit=1_000)
        assert compiled() == before, objective
