"""Solution files of other solvers: what each writes is read, and what is bad is refused."""

import contextlib
import gzip
import shutil
import subprocess

import highspy
import pyomo.environ as pyo
import pytest

import batchprophet as bp
from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import schedule_value
from batchprophet.models.solver_solutions import read_values

SMALL = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
SLOTS = SMALL.replace(gpu=Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=1)))

#: The optimum of SMALL in each format, as its documentation has it (Gurobi, SCIP) or as the solver
#: itself wrote it (HiGHS 1.16, CBC 2.10.8, GLPK 5.0); what is not needed is left out.
SAMPLES = {
    "Gurobi": "# Solution for model obj\n# Objective value = 7\nx(0_0) 1\nx(0_1) 0\n"
    "x(1_3)  1.0000000000e+00\nA(1) 1\nONE_VAR_CONSTANT 1\n",
    "SCIP": "solution status: optimal solution found\n"
    "objective value:                                    7\n"
    "ONE_VAR_CONSTANT                                    1 \t(obj:4)\n"
    "x(0_0)                                              1 \t(obj:0)\n"
    "x(1_3)                             0.9999999999999982 \t(obj:3)\n",
    "CBC": "Optimal - objective value 7.00000000\n"
    "      0 ONE_VAR_CONSTANT                 1                       4\n"
    "      6 x(1_3)                           1                       3\n"
    "     10 x(0_0)                           1                       0\n",
    "HiGHS": "Model status\nOptimal\n\n# Primal solution values\nFeasible\nObjective 7\n"
    "# Columns 3\nONE_VAR_CONSTANT 1\nx(0_0) 1\nx(1_3) 1\n# Rows 1\nc_e_memory(8)_ 0\n\n"
    "# Dual solution values\nNone\n\n# Basis\nHiGHS_basis_file v2\nNone\n",
    "GLPK": "Problem:    mixed\nRows:       18\nColumns:    27 (10 integer, 10 binary)\n"
    "Non-zeros:  84\nStatus:     INTEGER OPTIMAL\nObjective:  goal = 7 (MINimum)\n\n"
    "   No.   Row name        Activity     Lower bound   Upper bound\n"
    "------ ------------    ------------- ------------- -------------\n"
    "     1 c_e_start_once(0)_\n"
    "                                   1             1             = \n\n"
    "   No. Column name       Activity     Lower bound   Upper bound\n"
    "------ ------------    ------------- ------------- -------------\n"
    "     1 ONE_VAR_CONSTANT\n"
    "                                   1             1             = \n"
    "     7 x(1_3)       *              1             0             1 \n"
    "    11 x(0_0)       *              1             0             1 \n\n"
    "Integer feasibility conditions:\n",
}


@pytest.mark.parametrize("solver", SAMPLES)
@pytest.mark.parametrize("packed", [False, True])
def test_samples_are_the_schedule(tmp_path, solver, packed):
    path = tmp_path / ("model.sol.gz" if packed else "model.sol")
    content = SAMPLES[solver].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_values(path)
    assert found.solver == solver
    assert "ONE_VAR_CONSTANT" not in found.values
    schedule = bp.read_solution(SMALL, path)
    assert schedule.start.tolist() == [0, 3]
    assert bp.check(SMALL, schedule).holds


@pytest.mark.parametrize("solver", SAMPLES)
def test_lines_that_are_cut_or_changed_are_refused_or_not_the_schedule(tmp_path, solver):
    # Whatever is done to a file, the answer is one line or a schedule: never another exception.
    path = tmp_path / "model.sol"
    lines = SAMPLES[solver].splitlines()
    for number, line in enumerate(lines):
        for changed in ("", line[: len(line) // 2], line + " 9 9 9", line.replace("1", "x"),
                        line.replace("x(", "y("), line.replace(" 1", " nan")):  # fmt: skip
            path.write_text("\n".join([*lines[:number], changed, *lines[number + 1 :]]))
            with contextlib.suppress(InputError):
                assert bp.read_solution(SMALL, path).start.size == 2


def test_what_is_no_solution_is_refused(tmp_path):
    path = tmp_path / "model.sol"

    def said(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(InputError) as error:
            bp.read_solution(SMALL, path)
        return str(error.value).removeprefix(f"{path}: ")

    assert said('{"model": "mixed"}') == (
        "line 1: expected a solution file of HiGHS, SCIP, CBC, Gurobi or GLPK, found "
        '\'{"model": "mixed"}\''
    )
    assert "found 'the end'" in said("")
    assert said(b"\xff\xfe") == "expected text in UTF-8 (byte 0)"
    assert said(b"\x1f\x8bno").startswith("cannot be unpacked (")
    assert said("Infeasible - objective value 0.0\n      0 x(0_0) 1 0\n") == (
        "line 1: expected a solution, found 'Infeasible - objective value 0.0'"
    )
    assert said("Optimal - objective value 7\n**  0 x(0_0) 2 0\n").startswith(
        "line 2: expected a feasible solution, found '**  0 x(0_0)"
    )
    assert said("solution status: infeasible\nno solution available\n") == (
        "line 2: expected a solution, found 'no solution available'"
    )
    assert said("Model status\nInfeasible\n\n# Primal solution values\nNone\n") == (
        "line 5: expected a feasible solution, found 'None'"
    )
    assert said("Columns\n    Index Status\n") == (
        "line 1: expected HiGHS's raw format (write_solution_style 0), found 'Columns'"
    )
    assert "3 columns, each a name and a value" in said(
        "Model status\nOptimal\n# Primal solution values\nFeasible\n# Columns 3\nx(0_0) 1\n"
    )
    assert said("Problem: a\nStatus:     INTEGER UNDEFINED\n").startswith("line 2: expected a sol")
    assert said("x(0_0) 1\nx(0_0) 0\n") == "line 2: expected x(0_0) once, found 'x(0_0) 0'"
    assert said("x(0_0) 1\nx(1_3) inf\n").startswith("line 2: expected a finite number for x(1_3)")
    assert said("x(0_0) 0.5\nx(1_3) 1\n") == "x(0_0): expected an integer, found 0.5"
    assert said("x(0_0) 1\nx(1_99) 1\n").startswith(
        "x(1_99): no variable of the model (mixed batching, running-sum form, latency); give the "
    )


def test_a_solution_that_leaves_a_request_out_is_refused(tmp_path):
    path = tmp_path / "model.sol"
    path.write_text("x(0_0) 1\n")
    with pytest.raises(
        InputError, match=r"the values break start_once\[1\]: expected 1 to 1, found"
    ):
        bp.read_solution(SMALL, path)
    # What breaks a rule is for the checker.
    path.write_text("x(0_0) 1\nx(1_2) 1\n")
    assert not bp.check(SMALL, bp.read_solution(SMALL, path)).holds


CASES = [
    (SMALL, "mixed", "running-sum", "latency"),
    (SMALL, "mixed", "dense", "weighted"),
    (SMALL.replace(horizon=5, reward=[3, 2]), "mixed", "running-sum", "reward"),
    (SLOTS, "separate", "stages", "latency"),
    (SLOTS, "separate", "classes", "latency"),
    (SLOTS, "separate", "time-expanded", "makespan"),
    (SLOTS.replace(horizon=9, reward=[3, 2]), "separate", "stages", "reward"),
    (SLOTS, "separate", "batch-sequence", "latency"),
    (SMALL, "continuous", "batch-sequence", "latency"),
]


def by_highs(model, solution):
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(model)) == highspy.HighsStatus.kOk
    solver.run()
    solver.writeSolution(str(solution), 0)
    return True


def by_cbc(model, solution):
    return _ran("cbc", str(model), "solve", "solution", str(solution))


def by_glpk(model, solution):
    kind = "--lp" if ".lp" in model.name else "--freemps"
    return _ran("glpsol", kind, str(model), "--output", str(solution))


def _ran(name, *words):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    subprocess.run([name, *words], check=True, capture_output=True, timeout=60)
    return True


@pytest.mark.parametrize("solve", [by_highs, by_cbc, by_glpk], ids=["HiGHS", "CBC", "GLPK"])
@pytest.mark.parametrize("ending", ["lp", "mps", "lp.gz", "mps.gz"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case[1:]))
def test_there_and_back(tmp_path, case, ending, solve):
    instance, model, formulation, objective = case
    if solve is by_cbc and ending.endswith(".gz"):
        pytest.skip("CBC reads .gz only where it was built with zlib")
    written, solution = tmp_path / f"model.{ending}", tmp_path / "model.sol"
    options = {"model": model, "formulation": formulation, "objective": objective}
    bp.export_model(instance, written, **options)
    solve(written, solution)
    schedule = bp.read_solution(instance, solution, **options)
    checked = bp.check(instance, schedule)
    assert checked.holds
    best = bp.solve(instance, model=model, objective=objective, work_limit=1000).solution
    assert best.status == "optimal"
    assert schedule_value(instance, schedule, objective) == best.objective


def test_constraints_go_there_and_back(tmp_path):
    def one(model):
        model.one = pyo.Constraint(model.ROUNDS, rule=lambda m, t: m.A[t] <= 1)

    written, solution = tmp_path / "model.mps", tmp_path / "model.sol"
    bp.export_model(SMALL, written, extend=one, horizon=12)
    by_highs(written, solution)
    schedule = bp.read_solution(SMALL, solution, extend=one, horizon=12)
    assert schedule.start.tolist() in ([0, 4], [4, 2])
    assert bp.check(SMALL, schedule).holds
    # A schedule that breaks them is refused, whoever calls it a solution.
    solution.write_text(SAMPLES["Gurobi"])
    with pytest.raises(
        InputError, match=r"the schedule breaks one\[4\]: expected −∞ to 1, found 2"
    ):
        bp.read_solution(SMALL, solution, extend=one, horizon=12)
