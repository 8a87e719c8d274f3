"""The separate-batching MILPs: three forms agree with brute force, whatever strengthens them."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.completion_goal import servable
from batchprophet.models.errors import InfeasibleError, InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.model_file import write_model
from batchprophet.models.regimes import check, schedule_value
from batchprophet.models.separate.milp.cuts import least_prompt_batches, least_token_batches
from batchprophet.models.separate.milp.formulation import FORMULATIONS, build_model
from batchprophet.models.separate.milp.from_variables import decode
from batchprophet.models.separate.milp.horizon import latest_completions
from batchprophet.models.separate.milp.strengthening import STRENGTHENINGS
from batchprophet.models.separate.milp.warm_start import set_start
from batchprophet.models.separate.problem import times_alone
from batchprophet.solvers.highs import Status, solve_model
from batchprophet.solvers.matrix_form import compile_model
from batchprophet.solvers.solution import certified
from tests.brute_force_separate import brute_force_separate
from tests.tiny_instances import OBJECTIVES
from tests.tiny_separate import affine_law, random_schedule, tiny_separate

LAW = ConstantTime(prompt=3, token=2)
SMALL = Instance(
    gpu=Gpu(kv_capacity=9, batch_time=LAW), arrival=[0, 4], prompt=[3, 1], output=[3, 2]
)


def can_earn(instance):
    try:
        servable(instance, latest_completions(instance, "reward"), np.array(times_alone(instance)))
    except InputError:
        return False
    return True


def milp_optimum(instance, objective, formulation, **options):
    """Value of the decoded schedule, which must be feasible and as good as the solver says."""
    model = build_model(instance, objective=objective, formulation=formulation, **options)
    result = solve_model(model)
    assert result.status is Status.OPTIMAL
    schedule = decode(instance, model, result.value)
    assert check(instance, schedule, allow_rejected=objective == "reward") == []
    value = schedule_value(instance, schedule, objective)
    assert float(value) == pytest.approx(result.objective)
    return value


def assert_forms_agree_with_brute_force(instance, objective, forms=tuple(FORMULATIONS), **options):
    optimum, _ = brute_force_separate(instance, objective)
    if objective == "reward" and not can_earn(instance):
        assert optimum == 0
        return
    for form in forms:
        assert milp_optimum(instance, objective, form, **options) == optimum


@pytest.mark.parametrize("seed", range(20))
def test_latency_of_all_forms_is_that_of_brute_force(seed):
    assert_forms_agree_with_brute_force(tiny_separate(seed), "latency")


@pytest.mark.parametrize("seed", range(30, 36))
@pytest.mark.parametrize("objective", OBJECTIVES[1:])
def test_every_objective_of_all_forms_is_that_of_brute_force(objective, seed):
    assert_forms_agree_with_brute_force(tiny_separate(seed), objective)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_affine_times_in_the_batch_sequence(objective, seed):
    instance = tiny_separate(seed, law=affine_law(np.random.default_rng(seed)), most_output=3)
    assert_forms_agree_with_brute_force(instance, objective, forms=["batch-sequence"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300))
def test_all_forms_are_brute_force_on_many_instances(seed):
    objective = OBJECTIVES[seed % len(OBJECTIVES)]
    assert_forms_agree_with_brute_force(tiny_separate(1000 + seed), "latency")
    if objective != "latency":
        assert_forms_agree_with_brute_force(tiny_separate(1000 + seed), objective)
    affine = tiny_separate(2000 + seed, law=affine_law(np.random.default_rng(seed)), most_output=3)
    assert_forms_agree_with_brute_force(affine, objective, forms=["batch-sequence"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_the_time_expanded_forms_are_brute_force_with_up_to_five_requests(seed):
    instance = tiny_separate(3000 + seed, most_requests=5, most_output=5)
    assert_forms_agree_with_brute_force(
        instance, OBJECTIVES[seed % len(OBJECTIVES)], forms=["time-expanded", "stages"]
    )


@pytest.mark.parametrize("name", ["none", *STRENGTHENINGS])
def test_each_strengthening_alone_keeps_the_optimum(name):
    names = [name] if name != "none" else []
    rows = 0
    for seed in range(200, 208):
        instance = tiny_separate(seed, most_output=3)
        objective = OBJECTIVES[seed % len(OBJECTIVES)]
        assert_forms_agree_with_brute_force(instance, objective, strengthenings=names)
        rows += sum(
            build_model(instance, formulation=form, strengthenings=names).nconstraints()
            - build_model(instance, formulation=form, strengthenings=()).nconstraints()
            for form in FORMULATIONS
        )
    assert (rows > 0) == (name != "none")


@pytest.mark.parametrize(
    ("form", "least"), [("time-expanded", 15), ("stages", 0), ("batch-sequence", 2)]
)
def test_relaxations_are_bounds_and_strengthenings_raise_them(form, least):
    # The stages imply most of it: there the strengthenings only help branching.
    raised = 0
    for seed in range(300, 340):
        instance = tiny_separate(seed)
        optimum, _ = brute_force_separate(instance)
        plain, strong = (
            solve_model(build_model(instance, formulation=form, strengthenings=names), relax=True)
            for names in ((), STRENGTHENINGS)
        )
        assert plain.bound <= strong.bound + 1e-6
        assert strong.bound <= optimum + 1e-6
        raised += strong.bound > plain.bound + 1e-6
    assert raised >= least


@pytest.mark.parametrize("objective", OBJECTIVES[:3])
def test_a_tight_horizon_loses_nothing_and_a_longer_one_wins_nothing(objective):
    for seed in range(400, 406):
        instance = tiny_separate(seed, most_output=3)
        optimum, _ = brute_force_separate(instance, objective)
        others = None
        if objective == "latency" and instance.n > 1:
            others = [
                brute_force_separate(instance.take(np.delete(np.arange(instance.n), i)))[0]
                for i in range(instance.n)
            ]
        for latest in (
            latest_completions(instance, objective, value=optimum, others=others),
            latest_completions(instance, objective) + 5,
        ):
            for form in ("time-expanded", "stages", "batch-sequence"):
                assert milp_optimum(instance, objective, form, latest=latest) == optimum


@pytest.mark.parametrize("form", FORMULATIONS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_schedule_set_as_start_satisfies_the_strengthened_model(form, objective):
    started = 0
    for seed in range(500, 540):
        instance = tiny_separate(seed)
        schedule = random_schedule(instance, seed)
        if check(instance, schedule) or (objective == "reward" and not can_earn(instance)):
            continue
        model = build_model(instance, objective=objective, formulation=form)
        assert set_start(instance, model, schedule, objective)
        started += 1
        for row in model.component_data_objects(pyo.Constraint, active=True):
            assert row.lslack() >= -1e-9
            assert row.uslack() >= -1e-9
        value = schedule_value(instance, schedule, objective)
        better = pyo.value(model.goal) - float(value)
        assert (better >= 0) if objective == "reward" else (better <= 0)
    assert started >= 10


def test_a_start_beyond_the_horizon_is_not_set():
    # Alone r0 takes 3 + 2 + 2 and r1 3 + 2: 7 and 9 at best. The second waits for the first here.
    model = build_model(SMALL, latest=np.array([7, 9]), formulation="time-expanded")
    _, schedule = brute_force_separate(SMALL)
    assert not set_start(SMALL, model, schedule, "latency")
    assert all(variable.value is None for variable in model.x.values())


def test_latest_completions_by_hand():
    # Alone 7 and 5: all is done by 4 + 12. At latency 15, 3 slots of waiting in all. For w = (1, 0)
    # and value 9 only the first is limited; r1 is a lower bound of nothing.
    assert latest_completions(SMALL).tolist() == [16, 16]
    assert latest_completions(SMALL, value=15).tolist() == [10, 12]
    assert latest_completions(SMALL, value=15, others=[7, 7]).tolist() == [8, 12]
    assert latest_completions(SMALL, "makespan", value=12).tolist() == [12, 12]
    weighted = SMALL.replace(weight=[1, 0])
    assert latest_completions(weighted, "weighted", value=9).tolist() == [9, 16]
    assert latest_completions(SMALL.replace(horizon=99), "reward").tolist() == [16, 16]
    earning = SMALL.replace(horizon=9, deadline=[8, 20])
    assert latest_completions(earning, "reward").tolist() == [8, 9]


def test_batch_counts_by_hand():
    # Prompts 4, 4, 5 of at most 7 tokens go one by one; 1 fits beside one of them.
    gpu = Gpu(kv_capacity=12, prompt_batch_tokens=7, token_batch_requests=3)
    instance = Instance(gpu=gpu, arrival=[0] * 4, prompt=[4, 4, 5, 1], output=[2, 4, 2, 3])
    assert least_prompt_batches(instance, [0, 1, 2, 3]) == 3
    assert least_prompt_batches(instance, [0, 3]) == 1
    # In a token batch they hold at least 6, 6, 7, 3 tokens at its end: of M = 12 two at most.
    # 1 + 3 + 1 + 2 jobs in pairs: 4; the jobs of r1 alone: 3; what has no token job: 0.
    assert least_token_batches(instance, [0, 1, 2, 3], [0, 1, 2, 3]) == 4
    assert least_token_batches(instance, [1], [0, 1, 2, 3]) == 3
    single = instance.replace(output=[1] * 4)
    assert least_token_batches(single, [0, 1], [0, 1, 2, 3]) == 0


def test_sizes_are_those_counted_by_hand():
    # One request (a 0, s 3, o 2), τ_P 3, τ_D 2, done by 7. From 0 a prompt ends at 3, rest at 7;
    # its last start is 2, its token's 3 … 5. Nodes 0, 3, 5, 7: prompt arcs {0}, token arcs {3, 5},
    # rest arcs {0, 3, 5}: 6 arcs; 4 rows of flow.
    one = SMALL.take([0]).replace(output=[2])
    latest = np.array([7])
    sizes = {
        form: compile_model(
            build_model(one, formulation=form, latest=latest, strengthenings=())
        ).sizes
        for form in FORMULATIONS
    }
    # Time-expanded: x, X at 0; y, Y at 3 and 5; z at 5 and 7: 2 + 4 + 2 variables. Rows: 3 define X
    # and Y; 1 is served; 3 need a batch; 2 tokens after the prompt; 1 all tokens; done: 2 + 2, 1
    # for good, 1 at last. No limits, KV never binds.
    assert sizes["time-expanded"][:2] == (6 + 8, 4 + 3 + 1 + 3 + 2 + 1 + 6)
    # Stages: q at (0, 0), (1, 3), (1, 5); N at (1, 3), (1, 5), the last fixed to 0 by its bounds.
    # Rows: 1 of arrivals, 2 balances, 3 need a batch.
    assert sizes["stages"][:2] == (6 + 5, 4 + 1 + 2 + 3)
    # Sequence: 2 places (2 jobs). u, v (v_0 fixed: no column), x, y, X, Y, z, D, S in each; c.
    # Rows: one kind 2, unused last 1, in batches 4, sums 4, all jobs 2, prompt first 2, not empty
    # 4, done 2, KV 2, times 2, order 1, arrived 0, all by end 2, completion 2.
    columns, rows = 2 * 9 - 1 + 1, 2 + 1 + 4 + 4 + 2 + 2 + 4 + 2 + 2 + 2 + 1 + 2 + 2
    assert sizes["batch-sequence"][:2] == (columns, rows)


def test_a_solution_of_separate_batching_is_certified():
    optimum, schedule = brute_force_separate(SMALL)
    solution = certified(SMALL, schedule, bounds=(("search", optimum),), method="m", seconds=0.0)
    record = solution.to_record()
    assert (record["model"], record["status"], record["objective"]) == (
        "separate", "optimal", optimum
    )  # fmt: skip
    assert record["schedule"]["batches"][0] == {"kind": "prompt", "start": 0, "requests": [0]}
    # Penalties: only accepted requests pay, and the optimum rejects what it cannot do.
    earning = SMALL.replace(horizon=8, reward=[2, 9])
    value, schedule = brute_force_separate(earning, "reward")
    rejected = certified(earning, schedule, objective_name="reward", method="m", seconds=0.0)
    assert (value, rejected.objective, schedule.accepted().tolist()) == (2, 2, [0])


@pytest.mark.parametrize("ending", [".lp", ".mps"])
def test_written_models_have_readable_names(tmp_path, ending):
    path = tmp_path / f"model{ending}"
    tight = SMALL.replace(gpu=Gpu(kv_capacity=8, batch_time=LAW))
    write_model(path, lambda: build_model(tight, formulation="time-expanded"))
    text = path.read_text()
    assert "x(0_0)" in text
    assert "kv_capacity(3)" in text


def test_what_the_forms_do_not_take_is_refused(tmp_path):
    affine = Gpu(kv_capacity=9, batch_time=AffineTime(c0=1, c1=0.1, c2=0.1, c3=0))
    slow = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=10**12, token=10**12))
    late = SMALL.replace(arrival=[9, 9], horizon=3)
    refused = [
        (lambda: build_model(SMALL.replace(gpu=affine)),
         "gpu.batch_time: the time-expanded formulations take the unit and the constant law, found "
         "the affine law in 'instance'; use the batch-sequence formulation"),
        (lambda: build_model(SMALL.take([0] * 2000).replace(gpu=slow)),
         "gpu.batch_time: n × the end of the serial schedule must stay below 2^62 for exact "
         "arithmetic, found 2000 × 6000000000000000 in 'instance'; use a coarser time unit"),
        (lambda: build_model(SMALL, formulation="best"),
         "formulation: expected one of time-expanded, stages, classes, batch-sequence; "
         "found 'best'"),
        (lambda: build_model(SMALL, strengthenings=["all"]),
         "strengthenings: expected some of batch-counts, remaining-jobs, equal-requests, "
         "left-shift, merged-prompts, early-tokens, full-batches; found 'all'"),
        (lambda: build_model(SMALL, objective="best"),
         "objective: expected one of latency, weighted, tardiness, makespan, reward; found 'best'"),
        (lambda: build_model(SMALL, objective="reward"),
         "horizon: the reward objective needs one, found none in the instance"),
        (lambda: build_model(late, objective="reward", formulation="batch-sequence"),
         "latest: no request can complete between its arrival and its latest end"),
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


@pytest.mark.parametrize("form", FORMULATIONS)
def test_a_default_horizon_says_what_it_holds_for(form):
    # Alone the request takes 3 + 2 · 2 slots; with a wait of 20 before its prompt it is not done by
    # the default end at 7, and given time it is.
    one = SMALL.take([0])

    def later(**latest):
        model = build_model(one, formulation=form, strengthenings=(), **latest)
        first = {
            "time-expanded": lambda: [x for (_, t), x in model.x.items() if t < 20],
            "stages": lambda: [q for (_, g, t), q in model.q.items() if g == 0 and t < 20],
            "classes": lambda: [x for (_, t), x in model.x.items() if t < 20],
            "batch-sequence": lambda: None,
        }[form]()
        if first is None:
            model.wait = pyo.Constraint(expr=model.S[0] >= 20)
        else:
            model.wait = pyo.Constraint(expr=sum(first) == 0)
        return model

    with (
        pytest.warns(UserWarning, match="with constraints added, give build_model others"),
        pytest.raises(InfeasibleError, match=r"\(proved by HiGHS\); its latest starts or"),
    ):
        solve_model(later())
    if form == "batch-sequence":  # the others know no wait that no arrival ends
        assert solve_model(later(latest=np.array([27]))).objective == pytest.approx(27)
