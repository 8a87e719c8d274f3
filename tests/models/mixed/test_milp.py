"""The two forms of the mixed MILP: each equals brute force, and their relaxations are equal."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.default_horizon import outgrows_default_horizon
from batchprophet.models.errors import InfeasibleError, InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.milp.formulation import FORMULATIONS, build_model
from batchprophet.models.mixed.milp.from_variables import decode, set_start
from batchprophet.models.mixed.milp.horizon import latest_starts
from batchprophet.models.model_file import write_model
from batchprophet.models.objectives import evaluate
from batchprophet.solvers.highs import Status, solve_model
from batchprophet.solvers.matrix_form import compile_model
from batchprophet.solvers.mixed.bounds.combinatorial import all_bounds
from batchprophet.solvers.mixed.bounds.linear_relaxation import linear_relaxation
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from tests.brute_force import brute_force
from tests.tiny_instances import OBJECTIVES, tiny_instance

SMALL = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


def can_earn(instance):
    return bool((latest_starts(instance, "reward") >= instance.arrival).any())


def milp_optimum(instance, objective, formulation, latest=None):
    """Value of the decoded schedule, which must be feasible and as good as the solver says."""
    model = build_model(instance, objective=objective, formulation=formulation, latest=latest)
    result = solve_model(model)
    assert result.status is Status.OPTIMAL
    schedule = decode(instance, model, result.value)
    assert check_mixed(instance, schedule) == []
    value = evaluate(instance, schedule.completion(instance), objective)
    # What is left out of an optimal model cannot be done in time by chance: it would be in.
    assert float(value) == pytest.approx(result.objective)
    return value


def assert_forms_agree_with_brute_force(instance, objective):
    if objective == "reward" and not can_earn(instance):
        assert brute_force(instance, objective)[0] == 0
        return
    optimum, _ = brute_force(instance, objective)
    relaxed = {form: linear_relaxation(instance, objective, formulation=form)
               for form in FORMULATIONS}  # fmt: skip
    assert relaxed["dense"] == pytest.approx(relaxed["running-sum"], abs=1e-6)
    sign = -1 if objective == "reward" else 1
    for form in FORMULATIONS:
        assert milp_optimum(instance, objective, form) == optimum
        assert sign * relaxed[form] <= sign * float(optimum) + 1e-6
    for _, bound in all_bounds(instance, objective):
        assert sign * bound <= sign * optimum
    for skip in (False, True):
        schedule = list_schedule(instance, instance.volume, skip=skip)
        value = evaluate(instance, schedule.completion(instance), objective)
        assert sign * value >= sign * optimum


@pytest.mark.parametrize("seed", range(300))
def test_latency_of_both_forms_is_that_of_brute_force(seed):
    assert_forms_agree_with_brute_force(tiny_instance([7, seed]), "latency")


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("objective", OBJECTIVES[1:])
def test_every_objective_of_both_forms_is_that_of_brute_force(objective, seed):
    assert_forms_agree_with_brute_force(tiny_instance([8, seed]), objective)


@pytest.mark.parametrize("objective", OBJECTIVES[:3])
def test_a_tight_horizon_loses_nothing_and_a_longer_one_wins_nothing(objective):
    for seed in range(15):
        instance = tiny_instance([9, seed])
        schedule = list_schedule(instance, instance.output)
        value = evaluate(instance, schedule.completion(instance), objective)
        optimum, _ = brute_force(instance, objective)
        others = None
        if objective == "latency":
            others = [
                brute_force(instance.take(np.delete(np.arange(instance.n), i)))[0]
                if instance.n > 1 else 0
                for i in range(instance.n)
            ]  # fmt: skip
        for latest in (
            latest_starts(instance, objective, value=value, others=others),
            latest_starts(instance, objective, value=optimum, others=others),
            latest_starts(instance, objective) + 7,
        ):
            assert milp_optimum(instance, objective, "dense", latest) == optimum


def test_latest_starts_by_hand():
    # Serially all is done by 2 + 6. A schedule of latency 8 waits 2 rounds in all: at most 2 each.
    # A makespan of 6 leaves 6 − o. Weight 0 bounds nothing; w·c ≤ 20 − 3·4 for the other.
    assert latest_starts(SMALL).tolist() == [4, 6]
    assert latest_starts(SMALL, value=8).tolist() == [2, 4]
    assert latest_starts(SMALL, "makespan", value=6).tolist() == [2, 4]
    weighted = SMALL.replace(weight=[3, 0])
    assert latest_starts(weighted, "weighted", value=18).tolist() == [2, 6]
    # Done by 5: the first may start at 1, the second at 3; by 3: the first never.
    assert latest_starts(SMALL.replace(horizon=5), "reward").tolist() == [1, 3]
    assert latest_starts(SMALL.replace(horizon=3), "reward").tolist() == [-1, 1]


def test_sizes_are_those_counted_by_hand():
    # Starts 0…4 and 2…6: 10 binaries, T = 8 rounds. Dense: 2 + 8 rows, each binary once in its
    # start row and in o rows of memory: 10 + 5·4 + 5·2 non-zeros. Running sum: 16 more variables,
    # 2 + 16 rows; the last leaving terms (k + o + 1 = 9) fall outside the rounds.
    sizes = {form: compile_model(build_model(SMALL, formulation=form)).sizes
             for form in FORMULATIONS}  # fmt: skip
    assert sizes["dense"] == (10, 10, 40)
    start_rows, balances = 10, (8 + 7) + (8 + 8 + 7)
    entering_and_leaving = 2 * (10 + 8)
    assert sizes["running-sum"] == (26, 18, start_rows + balances + entering_and_leaving)


def test_the_reward_appends_what_is_left_out():
    # M = 9: only one of the two (5, 4) can be done by 4, the other follows after it.
    instance = Instance(
        gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[5, 5], output=[4, 4],
        reward=[1, 2], horizon=4,
    )  # fmt: skip
    model = build_model(instance, objective="reward")
    schedule = decode(instance, model, solve_model(model).value)
    assert schedule.start.tolist() == [4, 0]


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_schedule_set_as_start_satisfies_the_model(formulation, objective):
    for seed in range(10):
        instance = tiny_instance([10, seed])
        if not can_earn(instance):
            continue
        schedule = list_schedule(instance, instance.output)
        model = build_model(instance, objective=objective, formulation=formulation)
        assert set_start(instance, model, schedule)
        for row in model.component_data_objects(pyo.Constraint, active=True):
            assert row.lslack() >= 0
            assert row.uslack() >= 0
        value = evaluate(instance, schedule.completion(instance), objective)
        assert pyo.value(model.goal) == pytest.approx(float(value))


def test_a_start_beyond_the_horizon_is_not_set():
    model = build_model(SMALL, latest=np.array([0, 2]))
    assert not set_start(SMALL, model, list_schedule(SMALL, [0, 1]))
    assert model.x[0, 0].value is None


@pytest.mark.parametrize("ending", [".lp", ".mps"])
def test_written_models_have_readable_names(tmp_path, ending):
    path = tmp_path / f"model{ending}"
    write_model(path, lambda: build_model(SMALL))
    text = path.read_text()
    assert "x(1_6)" in text
    assert "m(8)" in text
    assert "start_once(0)" in text


def test_what_the_forms_do_not_take_is_refused(tmp_path):
    constant = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=1))
    limited = Gpu(kv_capacity=9, prompt_batch_requests=1, token_batch_requests=2)
    late = SMALL.replace(arrival=[9, 9], horizon=3)
    refused = [
        (lambda: build_model(SMALL.replace(gpu=constant)),
         "gpu.batch_time: mixed batching takes unit batch times, found the constant law; drop "
         "batch_time from 'instance'"),
        (lambda: build_model(SMALL.replace(gpu=limited)),
         "gpu: mixed batching knows no limits of separate batching and no KV blocks; drop "
         "prompt_batch_requests, token_batch_requests from 'instance'"),
        (lambda: build_model(SMALL, formulation="best"),
         "formulation: expected one of dense, running-sum; found 'best'"),
        (lambda: build_model(SMALL, objective="best"),
         "objective: expected one of latency, weighted, tardiness, makespan, reward; found 'best'"),
        (lambda: build_model(SMALL, objective="reward"),
         "horizon: the reward objective needs one, found none in the instance"),
        (lambda: build_model(late, objective="reward"),
         "latest: no request can start between its arrival and its latest start"),
        (lambda: build_model(SMALL, latest=np.array([1])),
         "latest: expected shape (2,), found (1,)"),
        (lambda: write_model(tmp_path / "model.txt", pytest.fail),
         f"{tmp_path / 'model.txt'}: expected a file name that ends in .lp or .mps, or in .lp.gz "
         "or .mps.gz"),
        (lambda: write_model(tmp_path / "no" / "model.lp", lambda: build_model(SMALL)),
         f"{tmp_path / 'no' / 'model.lp'}: cannot be written (No such file or directory)"),
    ]  # fmt: skip
    for call, message in refused:
        with pytest.raises(InputError) as error:
            call()
        assert str(error.value) == message


#: Six requests that fit together, of which at most one may start in any four rounds: 0, 4, … 20.
SIX = Instance(gpu=Gpu(kv_capacity=50), arrival=[0] * 6, prompt=[3] * 6, output=[2] * 6)
OPTIMUM_OF_SIX = 2 + 6 + 10 + 14 + 18 + 22


def apart(model, gap=4):
    """Add it to the model: at most one start in any `gap` rounds."""
    last = max(t for _, t in model.STARTS)
    model.apart = pyo.Constraint(
        range(last + 1),
        rule=lambda model, k: sum(x for (_, t), x in model.x.items() if k <= t < k + gap) <= 1,
    )
    return model


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_a_constraint_that_outgrows_the_default_horizon_is_told_so(formulation):
    model = apart(build_model(SIX, formulation=formulation))  # no start after round 10
    with (
        pytest.warns(UserWarning, match="with constraints added, give build_model others"),
        pytest.raises(InfeasibleError) as error,
    ):
        solve_model(model)
    assert str(error.value) == (
        "the model is infeasible (proved by HiGHS); its latest starts or completions are the "
        "default ones, which hold for the model as it was built: with constraints added, give "
        "build_model others (latest=…) that hold for these too"
    )
    given = apart(build_model(SIX, formulation=formulation, latest=SIX.arrival + 20))
    assert solve_model(given).objective == pytest.approx(OPTIMUM_OF_SIX)


def test_an_optimum_that_the_default_horizon_cuts_off_comes_with_a_warning():
    # Request 0 weighs 100 and may start before round 2 only if request 1 starts in round 5 or
    # later: 100 · 2 + 7. The default horizon ends at 4: there request 0 starts at 2, 100 · 4 + 2.
    two = SIX.take([0, 1]).replace(weight=[100, 1])

    def optimum(**latest):
        model = build_model(two, objective="weighted", **latest)
        early = [x for (i, t), x in model.x.items() if t < (2, 5)[i]]
        model.either = pyo.Constraint(expr=sum(early) <= 1)
        return solve_model(model).objective

    assert optimum(latest=two.arrival + 10) == pytest.approx(207)
    with pytest.warns(UserWarning, match="mixed batching, running-sum form, weighted.*: its lat"):
        assert optimum() == pytest.approx(402)


def test_a_model_as_it_was_built_and_one_with_a_given_horizon_are_told_nothing():
    model = build_model(SIX)
    assert not outgrows_default_horizon(model)
    assert not outgrows_default_horizon(apart(build_model(SIX, latest=SIX.arrival + 20)))
    solve_model(model)  # warnings are errors here
