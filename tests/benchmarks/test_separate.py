"""The side-by-side benchmark of separate batching: methods agree, rows are verified, it resumes."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime, UnitTime
from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check, schedule_value
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from batchprophet.solvers.hindsight import solve
from tests.brute_force_separate import brute_force_separate
from tests.side_by_side import SMALL, a_case, command, needs_ortools
from tests.tiny_separate import affine_law, random_schedule, tiny_separate

MILPS = ("separate-s1", "separate-s1-aggregated", "separate-s2")
CP_SAT = ("separate-cp-sat-rows", "separate-cp-sat-layers")


# -- the methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        "separate-engine",
        *MILPS,
        *(f"{name}-strengthened" for name in MILPS),
        *(pytest.param(name, marks=needs_ortools) for name in CP_SAT),
        *(pytest.param(f"{name}-core", marks=needs_ortools) for name in CP_SAT),
    ],
)
def test_every_method_finds_and_proves_the_optimum(methods, method):
    for seed in range(20):
        instance = tiny_separate(seed)
        solution = methods.METHODS[method](a_case(methods, instance, "separate"))
        optimum, _ = brute_force_separate(instance)
        assert (solution.objective, solution.bound) == (optimum, optimum), seed


@pytest.mark.parametrize(
    "method", ["separate-s1-aggregated", pytest.param(CP_SAT[0], marks=needs_ortools),
               pytest.param(CP_SAT[1], marks=needs_ortools)],
)  # fmt: skip
def test_methods_agree_with_the_engine_where_batches_are_full_and_kv_binds(methods, method):
    for seed in (0, 1):
        instance = make_instance(
            "separate-random", seed=seed, settings={"n": 5, "kv_capacity": 15, "span": 0}
        )
        optimum = solve(instance, model="separate", time_limit=30.0)
        assert optimum.status == "optimal"
        solution = methods.METHODS[method](a_case(methods, instance, "separate"))
        assert (solution.objective, solution.bound) == (optimum.objective,) * 2


def test_the_batch_sequence_takes_the_affine_law(methods):
    for seed in range(4):
        law = affine_law(np.random.default_rng(seed))
        instance = tiny_separate(seed, most_requests=2, law=law, most_output=3)
        methods.require_suitable(instance, methods.separate_methods.ANY_LAW)
        solution = methods.METHODS["separate-s2"](a_case(methods, instance, "separate"))
        optimum, _ = brute_force_separate(instance)
        assert (solution.objective, solution.bound) == (optimum, optimum), seed


@needs_ortools
@pytest.mark.parametrize("formulation", ["rows", "layers"])
def test_a_formulation_allows_exactly_the_feasible_schedules(methods, benchmarks, formulation):
    # Starts fixed: CP-SAT finds the model feasible if and only if the checker does.
    cp_sat, cp_model = benchmarks("cp_sat_separate"), benchmarks("ortools.sat.python.cp_model")
    verdicts = []
    for seed in range(60):
        instance = tiny_separate(seed)
        schedule = random_schedule(instance, seed)
        late = np.full(instance.n, 200)
        warm_start = methods.first_schedule(instance, "separate")
        model, starts = cp_sat.build(instance, late, warm_start, formulation)
        tokens = [0] * instance.n
        for batch in schedule.batches:
            for i in batch.requests:
                tokens[i] += 1
                model.add(starts[i, tokens[i]] == batch.start)
        solver = cp_model.CpSolver()
        solver.parameters.catch_sigint_signal = False  # it would leave none that Python knows
        solver.parameters.num_workers = 1
        found = solver.solve(model) == cp_model.OPTIMAL
        verdicts.append(found)
        assert found == (not check(instance, schedule)), seed
        if found:
            assert cp_sat.read(instance, starts, solver.value) == schedule
    assert 10 < sum(verdicts) < 50  # both verdicts are put to the test


@needs_ortools
@pytest.mark.parametrize("formulation", ["rows", "layers"])
def test_the_hint_of_cp_sat_is_complete(methods, benchmarks, formulation):
    # Every variable has a value, and together they are the warm start.
    cp_sat, cp_model = benchmarks("cp_sat_separate"), benchmarks("ortools.sat.python.cp_model")
    instance = make_instance("separate-random", seed=3, settings={"n": 6, "kv_capacity": 20})
    case = a_case(methods, instance, "separate")
    windows = methods.separate_methods.windows(case)
    model, _ = cp_sat.build(instance, windows, case.warm_start, formulation)
    assert len(model.proto.solution_hint.vars) == len(model.proto.variables)
    solver = cp_model.CpSolver()
    solver.parameters.catch_sigint_signal = False  # it would leave none that Python knows
    solver.parameters.num_workers = 1
    solver.parameters.fix_variables_to_their_hinted_value = True
    assert solver.solve(model) == cp_model.OPTIMAL
    assert solver.objective_value == case.value


def test_the_milps_are_plain(methods, benchmarks, monkeypatch):
    # No strengthening is added, and the bound is the solver's own: the engine is out of reach.
    def refuse(*_, **__):
        raise AssertionError("not part of the plain MILP")

    strengthening = importlib.import_module("batchprophet.models.separate.milp.strengthening")
    refused = dict.fromkeys(strengthening.STRENGTHENINGS, refuse)
    instance = make_instance("separate-random", seed=0, settings={"n": 4})
    case = a_case(methods, instance, "separate")
    monkeypatch.setattr(strengthening, "STRENGTHENINGS", refused)
    monkeypatch.setattr(benchmarks("separate_methods"), "solve", refuse)
    for method in MILPS:
        solution = methods.METHODS[method](case)
        assert solution.status == "optimal"
        assert [name for name, _ in solution.bounds] == ["its own"]
        with pytest.raises(AssertionError, match="not part"):
            methods.METHODS[f"{method}-strengthened"](case)


@needs_ortools
def test_a_method_without_a_schedule_of_its_own_keeps_the_warm_start(methods):
    instance = make_instance("separate-random", seed=0, settings={"n": 12})
    case = a_case(methods, instance, "separate", time_limit=0.0)
    solution = methods.METHODS["separate-cp-sat-rows"](case)
    assert solution.schedule == case.warm_start
    assert "the warm start kept" in solution.method


def test_methods_are_of_one_regime(methods):
    assert methods.parse_methods("separate-s1,separate-s1") == ["separate-s1"]
    with pytest.raises(InputError, match="expected methods of one regime"):
        methods.parse_methods("engine,separate-engine")


@needs_ortools
def test_separate_names_the_methods_of_the_tables(methods):
    assert methods.parse_methods("separate") == [
        "separate-engine", *MILPS, "separate-cp-sat-rows", "separate-cp-sat-layers-core"
    ]  # fmt: skip


def test_unsuitable_instances_are_refused(methods):
    affine = tiny_separate(0, law=AffineTime(c0=0.01, c1=0.002, c2=0.001, c3=0.0))
    with pytest.raises(InputError, match="separate-s1 takes the unit and the constant law"):
        methods.require_suitable(affine, ["separate-s2", "separate-s1"])
    limited = make_instance("separate-random", settings={"n": 4})
    with pytest.raises(InputError, match="mixed batching takes unit batch times"):
        methods.require_suitable(limited, ["engine"])


# -- rows ----------------------------------------------------------------------------------------

#: One after the other 3 + 2 and then 1 + 2 tokens: both at once would be 8.
PAIR = Instance(
    gpu=Gpu(kv_capacity=7, batch_time=ConstantTime(prompt=2, token=1)),
    arrival=[0, 0],
    prompt=[3, 1],
    output=[2, 2],
)

#: Prompts to 2, the second completes at 3, the first at 4: a total latency of 7.
ONE_BY_ONE = SeparateSchedule(
    [Batch("prompt", 0, (0, 1)), Batch("token", 2, (1,)), Batch("token", 3, (0,))]
)
AT_ONCE = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 2, (0, 1))])
CUT_OFF = SeparateSchedule(ONE_BY_ONE.batches[:2])


@pytest.fixture
def row(record):
    return record.Row(
        instance="pair", n=2, M=7, model="separate", method="separate-s1", incumbent=7,
        lower_bound=7, status="optimal", seconds=0.5, cpu_seconds=None, peak_mib=200.0,
        time_limit=5.0, threads=2, windows="plain", warm_start=7, account='hand, "quoted"',
        version="0", date="2026-01-01", fingerprint=record.fingerprint(PAIR), schedule=ONE_BY_ONE,
    )  # fmt: skip


def test_a_right_row_is_verified_also_from_the_file(record, row, tmp_path):
    assert schedule_value(PAIR, ONE_BY_ONE) == brute_force_separate(PAIR)[0] == 7
    record.write_rows([row], tmp_path / "rows.csv")
    [again] = record.read_rows(tmp_path / "rows.csv")
    assert again == row
    assert record.violations(again, PAIR) == []


def test_a_long_schedule_survives_the_file(record, row, tmp_path):
    batches = [Batch("token", t, (0, 1)) for t in range(4000)]
    long = replace(row, schedule=SeparateSchedule(batches))
    record.write_rows([long], tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").stat().st_size > 2**17  # Python's limit on a field
    assert record.read_rows(tmp_path / "rows.csv") == [long]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": AT_ONCE, "incumbent": 6, "lower_bound": 6}, "KV capacity 7 exceeded"),
        ({"schedule": CUT_OFF}, "request r0 lacks 1 job of 2"),
        ({"incumbent": 6, "lower_bound": 6}, "the schedule is worth 7, not 6"),
        ({"model": "mixed"}, "expected a mixed schedule"),
    ],
)
def test_a_wrong_row_is_found_out(record, row, changes, message):
    found = record.violations(replace(row, **changes), PAIR)
    assert any(message in violation for violation in found), found


def test_the_fingerprint_covers_the_gpu(record):
    law = ConstantTime(prompt=2, token=1)
    gpus = [
        Gpu(kv_capacity=7, batch_time=law),
        Gpu(kv_capacity=8, batch_time=law),
        Gpu(kv_capacity=7, prompt_batch_requests=3, batch_time=law),
        Gpu(kv_capacity=7, prompt_batch_tokens=3, batch_time=law),
        Gpu(kv_capacity=7, token_batch_requests=3, batch_time=law),
        Gpu(kv_capacity=7, batch_time=ConstantTime(prompt=1, token=2)),
        Gpu(kv_capacity=7, batch_time=AffineTime(c0=2.0, c1=1.0, c2=0.0, c3=0.0)),
        Gpu(kv_capacity=7, batch_time=UnitTime()),
    ]
    assert len({record.fingerprint(PAIR.replace(gpu=gpu)) for gpu in gpus}) == len(gpus)
    assert record.fingerprint(PAIR.replace(name="other")) == record.fingerprint(PAIR)


# -- the command ---------------------------------------------------------------------------------


@pytest.mark.slow
@needs_ortools
def test_the_command_with_the_methods_of_the_tables(record, methods, tmp_path):
    words = ("--sets", "separate-random:n=5", *SMALL, "--methods", "separate", "--out", "rows.md")
    first = command(*words, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    rows = record.read_rows(tmp_path / "rows.csv")
    assert [row.method for row in rows] == methods.parse_methods("separate")
    assert {(row.model, row.status) for row in rows} == {("separate", "optimal")}
    assert len({row.incumbent for row in rows}) == 1
    assert first.stdout.count("optimal") == len(rows)


def test_the_command_resumes_and_verifies_what_it_has(record, tmp_path):
    words = ("--sets", "separate-random:n=3", *SMALL, "--methods", "separate-s1-aggregated",
             "--out", "rows.csv")  # fmt: skip
    first = command(*words, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    [row] = record.read_rows(tmp_path / "rows.csv")
    assert row.status == "optimal"

    again = command(*words, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "in the record already" in again.stderr
    assert again.stdout == first.stdout

    # A batch that is not there any more: what is in the record is not believed.
    fewer = SeparateSchedule(row.schedule.batches[:-1])
    record.write_rows([replace(row, schedule=fewer)], tmp_path / "rows.csv")
    wrong = command(*words, folder=tmp_path)
    assert wrong.returncode == 1
    assert "lacks 1 job of" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sets", "separate-random:n=4", "--methods", "engine"), "mixed batching takes unit"),
        (("--methods", "separate-s1", "--tight-windows"), "expected methods of mixed batching"),
    ],
)
def test_bad_usage_ends_with_code_2(words, message, tmp_path):
    result = command(*words, folder=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
