"""The side-by-side benchmark: its methods agree, its rows are verified, its command resumes."""

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from tests.brute_force import brute_force
from tests.side_by_side import SMALL, a_case, command, needs_ortools
from tests.strategies import random_instance

CP_SAT = ("cp-sat-steps", "cp-sat-layers", "cp-sat-completions", "cp-sat-completions+layers",
          "cp-sat-starts")  # fmt: skip
WITH_CORES = tuple(f"{name}-core" for name in CP_SAT)


@pytest.fixture
def process(benchmarks):
    return benchmarks("process")


# -- the methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        "engine",
        "milp-dense",
        "milp-running-sum",
        *(pytest.param(method, marks=needs_ortools) for method in (*CP_SAT, *WITH_CORES)),
    ],
)
def test_every_method_finds_and_proves_the_optimum(methods, method):
    rng = np.random.default_rng(20)
    for _ in range(50):
        n = int(rng.integers(1, 6))
        instance = random_instance(rng, n, capacity=(4, 12), last_arrival=int(rng.integers(0, 7)))
        for tight in (False, True) if method != "engine" else (False,):
            case = a_case(methods, instance, "mixed", tight_windows=tight)
            solution = methods.METHODS[method](case)
            optimum, _ = brute_force(instance)
            assert (solution.objective, solution.bound) == (optimum, optimum)
            assert not check_mixed(instance, solution.schedule)


@needs_ortools
@pytest.mark.parametrize("formulation", [name.removeprefix("cp-sat-") for name in CP_SAT])
def test_a_formulation_allows_exactly_the_feasible_schedules(methods, benchmarks, formulation):
    # Starts fixed at random: CP-SAT finds the model feasible if and only if the checker does.
    cp_sat, cp_model = benchmarks("cp_sat"), importlib.import_module("ortools.sat.python.cp_model")
    rng, verdicts = np.random.default_rng(5), []
    while len(verdicts) < 60:
        instance = random_instance(rng, 3, capacity=(6, 10), last_arrival=3)
        latest = instance.arrival + 6
        start = rng.integers(instance.arrival, latest + 1)
        case = a_case(methods, instance, "mixed")
        if (case.warm_start.start > latest).any():
            continue
        model, variables = cp_sat.build(instance, latest, case.warm_start, formulation)
        for variable, value in zip(variables, start.tolist(), strict=True):
            model.add(variable == value)
        solver = cp_model.CpSolver()
        solver.parameters.catch_sigint_signal = False  # it would leave none that Python knows
        solver.parameters.num_workers = 1
        found = solver.solve(model) == cp_model.OPTIMAL
        verdicts.append(found)
        feasible = not check_mixed(instance, type(case.warm_start)(start))
        assert found == feasible, (instance, start)
    assert 10 < sum(verdicts) < 50  # both verdicts are put to the test


def test_the_milp_is_plain(methods, benchmarks, monkeypatch):
    # Its bound is the solver's own: combinatorial bounds and list schedules are out of reach.
    def refuse(*_, **__):
        raise AssertionError("not part of the plain MILP")

    instance = make_instance("arrival-model-1", seed=100, settings={"n": 7})
    case = a_case(methods, instance, "mixed")
    for name in ("solve", "best_bound", "list_schedules", "first_schedule"):
        monkeypatch.setattr(benchmarks("mixed_methods"), name, refuse)
    for method in ("milp-dense", "milp-running-sum"):
        solution = methods.METHODS[method](case)
        assert solution.status == "optimal"
        assert [name for name, _ in solution.bounds] == ["its own"]


@needs_ortools
def test_a_method_without_a_schedule_of_its_own_keeps_the_warm_start(methods):
    instance = make_instance("arrival-model-1", seed=100, settings={"n": 12})
    case = a_case(methods, instance, "mixed", time_limit=0.0)
    solution = methods.METHODS["cp-sat-starts"](case)
    assert solution.schedule == case.warm_start
    assert "the warm start kept" in solution.method


def test_unknown_methods_are_refused(methods):
    with pytest.raises(InputError, match=r"--methods: expected some of .* found 'simplex'"):
        methods.parse_methods("engine,simplex")


def test_cp_sat_without_ortools_is_refused(methods, monkeypatch):
    monkeypatch.setattr(methods.importlib.util, "find_spec", lambda name: None)
    assert methods.parse_methods("engine,milp-dense") == ["engine", "milp-dense"]
    with pytest.raises(InputError, match="CP-SAT needs ortools"):
        methods.parse_methods("cp-sat")


# -- sets ----------------------------------------------------------------------------------------


def test_sets(benchmarks):
    sets = benchmarks("sets")
    assert sets.parse_seeds("1,5,100-102") == [1, 5, 100, 101, 102]
    found = sets.members(["prefixes:n=4,6", "arrival-model-1:n=4"], [100, 101], pytest.fail)
    assert [(member.group, member.instance.n) for member in found] == [
        *[("prefixes n=4", 4)] * 4,
        *[("prefixes n=6", 6)] * 4,
    ]  # the second set names instances of the first
    assert {m.instance.n for m in sets.members(["published"], [100], pytest.fail)} == {41, 34}


def test_a_seed_that_draws_too_few_requests_is_told(benchmarks):
    told = []
    found = benchmarks("sets").members(["arrival-model-2:n=200"], [100], told.append)
    assert found == []
    assert told == ["arrival-model-2, seed 100: draws 34 requests only, n=200 left out"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poisson", "--sets: expected one of published, prefixes, traces, arrival-model-1"),
        ("prefixes", "--sets: prefixes: expected how many requests"),
        ("prefixes:n", "--sets: expected NAME"),
        ("prefixes:n=4:n=5", "each setting once"),
        ("traces:wide=1", "--sets: traces: expected file, count"),
        ("traces:file=none.csv", "none.csv is not in the data folder"),
    ],
)
def test_wrong_sets_are_refused(benchmarks, text, message):
    with pytest.raises(InputError, match=message):
        benchmarks("sets").members([text], [100], pytest.fail)


@pytest.mark.parametrize("text", ["", "a", "3-", "5-3", "-3"])
def test_wrong_seeds_are_refused(benchmarks, text):
    with pytest.raises(InputError, match="--seeds: expected"):
        benchmarks("sets").parse_seeds(text)


# -- rows ----------------------------------------------------------------------------------------

#: Both run at once in rounds 3 and 4, 9 tokens at most; or the second waits.
PAIR = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


@pytest.fixture
def row(record):
    return record.Row(
        instance="pair", n=2, M=9, model="mixed", method="engine", incumbent=7, lower_bound=7,
        status="optimal", seconds=0.5, cpu_seconds=None, peak_mib=200.0, time_limit=5.0, threads=2,
        windows="plain", warm_start=8, account='hand, "quoted"', version="0", date="2026-01-01",
        fingerprint=record.fingerprint(PAIR), schedule=MixedSchedule([0, 3]),
    )  # fmt: skip


def test_a_right_row_is_verified(record, row):
    assert record.violations(row, PAIR) == []
    assert row.gap == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"schedule": MixedSchedule([0, 2]), "incumbent": 6, "lower_bound": 6},
            "KV capacity 9 exceeded",
        ),
        ({"schedule": MixedSchedule([0, 1])}, "before its arrival"),
        ({"schedule": MixedSchedule([0, 4])}, "the schedule is worth 8, not 7"),
        ({"schedule": None}, "expected a mixed schedule"),
        ({"model": "separate"}, "expected a separate schedule"),
        ({"lower_bound": 8, "status": "feasible"}, "the bound 8 is above 7, its own"),
        ({"lower_bound": 6}, "optimal with 7 and bound 6"),
        ({"lower_bound": None}, "optimal with 7 and bound None"),
        ({"status": "feasible"}, "feasible with 7 and bound 7"),
        ({"warm_start": 6}, "worse than the warm start"),
        ({"status": "crashed", "incumbent": None, "account": "exit code -11"}, "exit code -11"),
    ],
)
def test_a_wrong_row_is_found_out(record, row, changes, message):
    found = record.violations(replace(row, **changes), PAIR)
    assert any(message in violation for violation in found), found


def test_contradictions_between_methods_are_found_out(record, row):
    later = MixedSchedule([0, 4])
    other = replace(row, method="milp-dense", incumbent=8, schedule=later, status="feasible")
    low = replace(other, lower_bound=6)
    assert record.contradictions([row, low]) == []
    high = replace(other, lower_bound=8, status="optimal")
    assert record.contradictions([row, high]) == [
        "pair: the bound 8 of milp-dense is above the schedule of engine, 7"
    ]
    elsewhere = replace(high, fingerprint="another instance")
    assert record.contradictions([row, elsewhere]) == []
    assert record.contradictions([row, replace(high, model="separate")]) == []


def test_rows_survive_the_file(record, row, tmp_path):
    rows = [row, replace(row, incumbent=None, lower_bound=None, status="overrun", schedule=None)]
    record.write_rows(rows, tmp_path / "rows.csv")
    assert record.read_rows(tmp_path / "rows.csv") == rows
    assert record.read_rows(tmp_path / "none.csv") == []


def test_a_malformed_file_is_refused(record, row, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("instance,n\n")
    with pytest.raises(InputError, match="expected the columns"):
        record.read_rows(file)
    record.write_rows([row], file)
    file.write_text(file.read_text().replace(",9,mixed", ",nine,mixed"))
    with pytest.raises(InputError, match=r"line 2: .*'nine'"):
        record.read_rows(file)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[0,3]", r"expected a schedule, found \[0,3\]"),
        ('{""start"":[0,0.5]}', "expected a schedule"),
        ('{""batches"":[{""kind"":""both"",""start"":0,""requests"":[0]}]}', "expected a batch"),
        ('{""start"":', "line 2"),
    ],
)
def test_a_malformed_schedule_is_refused(record, row, tmp_path, written, message):
    file = tmp_path / "rows.csv"
    record.write_rows([row], file)
    text = file.read_text()
    assert text.count('{""start"":[0,3]}') == 1
    file.write_text(text.replace('{""start"":[0,3]}', written))
    with pytest.raises(InputError, match=message):
        record.read_rows(file)


def test_the_summary_counts_what_has_no_result_as_a_gap_of_100_percent(benchmarks, row):
    lost = replace(row, fingerprint="b", incumbent=None, lower_bound=None, status="overrun")
    open_ = replace(row, fingerprint="c", lower_bound=6, status="feasible")
    better = replace(open_, method="milp-dense", incumbent=6, status="optimal")
    first, second = benchmarks("tables").summary([("set", [row, lost, open_, better])])
    assert first[:7] == ("set", "engine", "3", "1", "14.3 %", "100.0 %", "1")
    assert first[-1] == "1"
    assert second[:7] == ("set", "milp-dense", "1", "1", "0.0 %", "0.0 %", "1")


def test_a_document_keeps_what_is_outside_the_marks(benchmarks, tmp_path):
    tables = benchmarks("tables")
    document = tmp_path / "page.md"
    begin, end = tables.markers("small")
    document.write_text(f"# Page\n\n{begin}\nold\n{end}\n\nThe end.\n")
    for _ in range(2):
        tables.write_into(document, "small", "new")
        assert document.read_text() == f"# Page\n\n{begin}\n\nnew\n\n{end}\n\nThe end.\n"
    with pytest.raises(InputError, match="side-by-side large: begin"):
        tables.write_into(document, "large", "new")


def test_open_rows_only(benchmarks, row):
    open_ = replace(row, instance="other", fingerprint="c", lower_bound=6, status="feasible")
    report = benchmarks("tables").Report("command", "made", [("set", [row, open_])])
    assert "| pair |" in report.markdown()
    page = report.markdown(open_only=True)
    assert "| pair |" not in page
    assert "| other |" in page
    assert "| set | engine | 2 | 1 |" in page  # summed up over all
    proved = benchmarks("tables").Report("command", "made", [("set", [row])])
    assert "Not proved" not in proved.markdown(open_only=True)


# -- processes -----------------------------------------------------------------------------------


def test_a_crash_is_an_outcome(methods, process):
    case = a_case(methods, PAIR, "mixed")
    outcome = process.measure("no such method", case, overrun=30, memory_mib=1e6)
    assert (outcome.failure, outcome.solution) == ("crashed", None)
    assert outcome.account == "the process ended with exit code 1"


def test_an_overrun_is_an_outcome(methods, process):
    case = a_case(methods, make_instance("arrival-model-1", seed=101), "mixed", time_limit=0.0)
    outcome = process.measure("milp-dense", case, overrun=0, memory_mib=1e6)
    assert (outcome.failure, outcome.account) == ("overrun", "stopped after 0 s")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is watched on Linux")
def test_too_much_memory_is_an_outcome(methods, process):
    outcome = process.measure("engine", a_case(methods, PAIR, "mixed"), overrun=30, memory_mib=50)
    assert (outcome.failure, outcome.account) == ("out of memory", "stopped beyond 50 MiB")
    assert outcome.peak_mib > 50


# -- the command ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_with_all_methods(record, methods, tmp_path):
    names = [name for name in methods.METHODS if methods.model_of(name) == "mixed"]
    if importlib.util.find_spec("ortools") is None:
        names = [name for name in names if not name.startswith("cp-sat")]
    words = ("--sets", "prefixes:n=5", *SMALL, "--methods", ",".join(names), "--out", "rows.md")
    first = command(*words, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    rows = record.read_rows(tmp_path / "rows.csv")
    assert [row.method for row in rows] == names * 2
    assert {row.status for row in rows} == {"optimal"}
    assert len({(row.fingerprint, row.incumbent) for row in rows}) == 2
    table = (tmp_path / "rows.md").read_text()
    assert table.count("| arrival-model-1-seed100-n=5 | 5 | 47 |") == len(names)
    assert first.stdout.count("optimal") == 2 * len(names)


def test_the_command_resumes_verifies_and_rewrites_a_document(record, tmp_path):
    (tmp_path / "page.md").write_text(
        "<!-- side-by-side tables: begin -->\n<!-- side-by-side tables: end -->\n"
    )
    words = ("--sets", "arrival-model-1:n=4", *SMALL, "--methods", "milp-dense",
             "--out", "rows.csv", "--into", "page.md")  # fmt: skip
    first = command(*words, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "| prefixes" not in (tmp_path / "page.md").read_text()
    assert (
        "| arrival-model-1-seed100-n=4 | 4 | 47 | milp-dense |"
        in (tmp_path / "page.md").read_text()
    )
    [row] = record.read_rows(tmp_path / "rows.csv")

    again = command(*words, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "in the record already" in again.stderr
    assert again.stdout == first.stdout
    assert record.read_rows(tmp_path / "rows.csv") == [row]

    # A bound of another method, above the optimum: loud, and the document stays as it is.
    wrong = replace(row, method="engine", lower_bound=row.incumbent + 1, status="feasible")
    record.write_rows([row, wrong], tmp_path / "rows.csv")
    page = (tmp_path / "page.md").read_bytes()
    contradicted = command(*words, folder=tmp_path)
    assert contradicted.returncode == 1
    assert f"the bound {row.incumbent + 1} of engine is above" in contradicted.stderr
    assert (tmp_path / "page.md").read_bytes() == page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "rows.txt"), "--out: expected a name that ends in .csv or .md, found rows.txt"),
        (("--out", "a.csv", "--out", "b.csv"), "--out: expected one .csv at most"),
        (("--into", "none.md"), "none.md: cannot be read"),
        (("--time-limit", "soon"), "Invalid value for '--time-limit'"),
    ],
)
def test_bad_usage_ends_with_code_2(words, message, tmp_path):
    result = command("--methods", "milp-dense", *words, folder=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
