"""What a solution file claims is recomputed: edited values, bounds, gaps and states are said."""

import json
from pathlib import Path

import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.models.files.instance_file import write_instance

#: Least total latency 7: r1 starts as soon as it fits beside r0, at 3.
SMALL = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


@pytest.fixture
def solved(tmp_path: Path) -> tuple[str, str, str]:
    """Files of the instance, its optimum and the proof, which agree."""
    paths = [str(tmp_path / name) for name in ("instance.json", "solution.json", "proof.json")]
    write_instance(SMALL, paths[0])
    found = bp.solve(SMALL)
    found.save(paths[1])
    found.save_certificate(paths[2])
    return paths[0], paths[1], paths[2]


def edit(path: str, **changes: object) -> None:
    record = json.loads(Path(path).read_text()) | changes
    Path(path).write_text(json.dumps(record))


def said(solved, capsys, *more: str, code: int) -> list[str]:  # type: ignore[no-untyped-def]  # as above
    assert run(["check", *solved[:2], *more]) == code
    return capsys.readouterr().out.splitlines()


def test_honest_files_are_accepted(solved, capsys) -> None:  # type: ignore[no-untyped-def]  # fixtures
    assert said(solved, capsys, code=0)[0] == "feasible"
    assert "bound verified" in said(solved, capsys, "--bound", solved[2], code=0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"objective": 6}, ["objective  6 is claimed, the latency of the schedule is 7"]),
        (
            {"lower_bound": 8},
            ["lower_bound  8 is claimed, more than the latency 7 of the schedule"],
        ),
        (
            {"lower_bound": 6},
            [
                "gap     0 is claimed, the bound 6 and the value 7 have a gap of 0.142857",
                "status  optimal is claimed, the bound 6 is not the value 7",
            ],
        ),
        ({"upper_bound": 8}, ["upper_bound  8 is claimed, the latency of the schedule is 7"]),
        ({"gap": 0.01}, ["gap  0.01 is claimed, the bound 7 and the value 7 have a gap of 0"]),
        ({"status": "feasible"}, ["status  feasible is claimed, the bound 7 equals the value 7"]),
        ({"status": "proved"}, ["status  'proved' is claimed, expected optimal or feasible"]),
        (
            {"lower_bound": None, "gap": None},
            ["status  optimal is claimed, there is no bound"],
        ),
        (
            {"objective_name": "reward"},
            ["objective_name  'reward' is claimed, expected latency, weighted or makespan"],
        ),
        ({"speed_equivalent_gap": 0.5}, ["speed_equivalent_gap  0.5 is claimed, there is none"]),
        # The schedule, not the claims: r1 starts a round later.
        (
            {"schedule": {"start": [0, 4]}},
            [
                "objective  7 is claimed, the latency of the schedule is 8",
                "gap        0 is claimed, the bound 7 and the value 8 have a gap of 0.125",
                "status     optimal is claimed, the bound 7 is not the value 8",
            ],
        ),
    ],
)
def test_edited_files_are_told(solved, capsys, changes, expected) -> None:  # type: ignore[no-untyped-def]  # fixtures
    edit(solved[1], **changes)
    shown = said(solved, capsys, code=1)
    place = shown.index("claimed, but not so")
    assert shown[place + 1 :] == [f"  {line}" for line in expected]
    assert run(["check", *solved[:2], "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["claims"]["wrong"]) == len(expected)


def weaker(solved: tuple[str, str, str]) -> None:
    """A schedule of value 8 with the bound 8, and a proof of 7 only."""
    edit(solved[1], schedule={"start": [0, 4]}, objective=8, lower_bound=8)


def test_a_bound_that_the_certificate_does_not_prove_is_told(solved, capsys) -> None:  # type: ignore[no-untyped-def]  # fixtures
    weaker(solved)
    assert said(solved, capsys, code=0)[0] == "feasible"  # nothing contradicts it without the proof
    shown = said(solved, capsys, "--bound", solved[2], code=1)
    assert "  lower_bound  8 is claimed, the certificate proves 7" in shown
    # A file that owns that its bound has no certificate claims no more than it has.
    edit(solved[1], certified=False)
    shown = said(solved, capsys, "--bound", solved[2], code=0)
    place = shown.index("claimed without a certificate")
    assert shown[place + 1] == "  lower_bound  8 is claimed, the certificate proves 7"


def test_the_value_of_a_reward_is_compared_from_the_other_side(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]  # fixtures
    # Both are in time by T = 6: the reward is 2, and no schedule has more.
    path, solution = str(tmp_path / "instance.json"), str(tmp_path / "solution.json")
    write_instance(SMALL.replace(horizon=6), path)
    bp.solve(path, objective="reward").save(solution)
    assert said((path, solution), capsys, code=0)[0] == "feasible"
    edit(solution, upper_bound=1)
    assert "upper_bound  1 is claimed, less than the reward 2" in " ".join(
        said((path, solution), capsys, code=1)
    )
    edit(solution, upper_bound=2, lower_bound=1)
    assert "lower_bound  1 is claimed, the reward of the schedule is 2" in " ".join(
        said((path, solution), capsys, code=1)
    )


def test_a_solution_is_known_by_its_content_not_by_its_name(solved, capsys) -> None:  # type: ignore[no-untyped-def]  # fixtures
    renamed = str(Path(solved[1]).with_suffix(".sol"))
    Path(renamed).write_text(Path(solved[1]).read_text())
    assert said((solved[0], renamed), capsys, "--bound", solved[2], code=0)[0] == "feasible"
    Path(renamed).write_text("# Objective value = 7\nx(0_0) 1\nx(1_3) 1\n")  # Gurobi's
    assert said((solved[0], renamed), capsys, code=0)[1] == "  latency   7"
    Path(renamed).write_text("")
    assert run(["check", solved[0], renamed]) == 2
