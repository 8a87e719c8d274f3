"""``regret``: rows, growth, decomposition, the command and its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from batchprophet.cli import run
from batchprophet.models.errors import InputError
from batchprophet.online.coupling.compensation import run_account
from batchprophet.online.coupling.oracle import FormulaOracle
from batchprophet.online.environments import ENVIRONMENTS, make_environment
from batchprophet.online.environments.list_setting import ListSetting
from batchprophet.online.growth import fit_growth
from batchprophet.online.packing.problem import ONLINE_PACKING, scaled
from batchprophet.online.regret import exact_values, measure_regret
from batchprophet.pictures.regret import compensations


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert run(["regret", *words, "--json"]) == 0
    record: dict[str, object] = json.loads(capsys.readouterr().out)
    return record


def test_exact_values_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    record = printed(capsys, "online-packing", "--exact", "--policies", "dp,bayes,resolve")
    assert record["fluid"] == 800.0
    rows = {row["policy"]: row for row in record["rows"]}  # type: ignore[attr-defined]
    assert {p: round(row["value"], 4) for p, row in rows.items()} == {
        "dp": 775.6761,
        "bayes": 774.6988,
        "resolve": 767.2869,
    }
    assert rows["dp"]["horizon"] == 200


def test_scale_is_the_longer_horizon(capsys: pytest.CaptureFixture[str]) -> None:
    by_scale = printed(
        capsys, "online-packing", "--exact", "--policies", "bayes", "--set", "scale=2"
    )
    by_horizon = printed(
        capsys, "online-packing", "--exact", "--policies", "bayes", "--horizons", "400"
    )
    assert by_scale == by_horizon
    assert by_scale["fluid"] == 1600.0


def test_rows_of_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["online-packing", "--horizons", "100,50", "--replications", "20", "--seed", "3"]
    record = printed(capsys, *words, "--policies", "bayes,static", "--out", str(tmp_path / "out"))
    rows = record["rows"]
    assert [(row["policy"], row["horizon"]) for row in rows] == [  # type: ignore[attr-defined]
        ("bayes", 50),
        ("static", 50),
        ("bayes", 100),
        ("static", 100),
    ]
    for row in rows:  # type: ignore[attr-defined]
        assert {"benchmark", "regret", "half_width", "identity_residual"} <= row.keys()
        assert row["identity_residual"] == 0
        assert row["smallest_compensation"] >= 0
        assert row["replications"] == 20
    for part, row in zip(record["decomposition"], rows, strict=True):  # type: ignore[call-overload]
        assert sum(part["by_part"].values()) == pytest.approx(row["regret"])
        assert sum(part["by_time"]) == pytest.approx(row["regret"])
    saved = json.loads((tmp_path / "out" / "regret.json").read_text())
    assert saved == record
    assert (tmp_path / "out" / "regret.png").stat().st_size > 1000
    assert (tmp_path / "out" / "decomposition.png").stat().st_size > 1000


def test_same_seed_same_rows_and_more_policies_do_not_matter() -> None:
    environment = make_environment("multi-secretary")
    settings = {"horizons": [50], "replications": 5, "seed": 1}
    alone = measure_regret(environment, policies=["resolve"], **settings)  # type: ignore[arg-type]
    beside = measure_regret(environment, policies=["irt", "resolve"], **settings)  # type: ignore[arg-type]
    assert alone.rows[0] == beside.rows[1]


def test_an_account_is_drawn_with_its_running_sum() -> None:
    problem = scaled(ONLINE_PACKING, 60)
    path = problem.draw(np.random.default_rng(0))

    def greedy(t, S, rng):  # type: ignore[no-untyped-def]
        return problem.actions(t, S, path)[0]

    oracle = FormulaOracle(problem.hindsight)
    account = run_account(problem, oracle, greedy, path, np.random.default_rng(0))
    ax = compensations(account).axes[0]
    running = ax.lines[-1].get_ydata()
    assert running[-1] == account.regret > 0
    assert len(ax.lines) == 2  # accepting is the only disagreement of a greedy rule, and the sum


def test_one_replication_has_no_interval() -> None:
    study = measure_regret(
        make_environment("online-packing"), policies=["bayes"], horizons=[50], replications=1
    )
    assert study.rows[0].half_width is None
    assert study.growth == {"bayes": None}
    json.dumps(study.to_record(), allow_nan=False)


@pytest.mark.parametrize(
    ("shape", "f"),
    [
        ("constant", lambda T: 50.0),
        ("logarithmic", lambda T: 5.0 + 9.0 * np.log(T)),
        ("square root", lambda T: 3.0 * np.sqrt(T)),
        ("between square root and linear", lambda T: T**0.75),
        ("linear", lambda T: 0.3 * T),
        ("quadratic", lambda T: 1e-4 * T * T),
        ("faster than quadratic", lambda T: 1e-6 * T**3.593),
        ("falling", lambda T: 100 / np.sqrt(T)),
    ],
)
def test_growth_tells_shapes_apart(shape: str, f) -> None:  # type: ignore[no-untyped-def]  # a law
    horizons = [1000, 10_000, 100_000, 1_000_000]
    rng = np.random.default_rng(0)
    means = [f(T) * (1 + 0.01 * rng.standard_normal()) for T in horizons]
    growth = fit_growth(horizons, means, [0.01 * m for m in means])
    assert growth is not None
    assert growth.shape == shape
    assert growth.low <= growth.exponent <= growth.high


@pytest.mark.parametrize(
    ("means", "errors", "admitted"),
    [
        (
            [1.45, 1.7, 2.5],
            [0.45, 0.53, 0.86],
            ["constant", "logarithmic", "square root", "linear"],
        ),
        ([10.0, 14.0, 20.0], [0.9, 1.3, 2.0], ["square root"]),
        ([10.0, 11.0, 10.5], [1.0, 1.1, 1.0], ["constant", "logarithmic"]),
        ([10.0, 28.0, 60.0], [4.0, 11.0, 30.0], ["square root", "linear", "quadratic"]),
    ],
)
def test_the_shape_is_what_the_interval_admits(
    means: list[float], errors: list[float], admitted: list[str]
) -> None:
    """An interval that admits several shapes determines none, wherever its middle lies."""
    growth = fit_growth([200, 400, 800], means, errors)
    assert growth is not None
    assert list(growth.admitted) == admitted
    powers = {"constant": 0.0, "square root": 0.5, "linear": 1.0, "quadratic": 2.0}
    for shape, power in powers.items():
        assert (growth.low <= power <= growth.high) == (shape in admitted)
    assert growth.shape == (admitted[0] if len(admitted) == 1 else "not determined")
    assert all(shape in growth.text for shape in admitted)


def test_growth_needs_positive_means() -> None:
    assert fit_growth([10, 100], [0.0, 1.0], [0.1, 0.1]) is None
    assert fit_growth([10], [1.0], [0.1]) is None


@pytest.mark.parametrize("model", ["mixed", "separate"])
def test_regret_takes_all_policies_of_a_regime(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options, and one's own policies of the current folder."""
    module, name = {
        "mixed": ("mixed.policies.mc_sf", "McSf"),
        "separate": ("separate.policies.hysteresis", "Hysteresis"),
    }[model]
    (tmp_path / f"my_{model}.py").write_text(
        f"from batchprophet.online.{module} import {name}\n\n\nclass Mine({name}):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [place for place in sys.path if place])
    option = {"mixed": "skip=true", "separate": "high=2,low=1"}[model]
    plain = {"mixed": "mc-sf:skip=true", "separate": "hysteresis:high=2,low=1"}[model]
    own = f"my_{model}:Mine:{option}"
    words = [f"{model}-latency", "--horizons", "4", "--replications", "2", "--set", "work=50"]
    record = printed(capsys, *words, "--policies", f"{own},{plain}")
    rows = {row["policy"]: row for row in record["rows"]}  # type: ignore[attr-defined]
    assert list(rows) == [own, plain]
    assert rows[own]["value"] == rows[plain]["value"]
    assert run(["regret", *words, "--policies", "nobody"]) == 2
    assert "or module:Class, found 'nobody'" in capsys.readouterr().err


def test_an_environment_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('environment = "online-packing"\n[settings]\nscale = 3\n')
    assert make_environment(str(path)).horizons[0] == 600
    assert make_environment(str(path), {"scale": "2"}).horizons[0] == 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("environment = 3", "environment: expected one of online-packing"),
        ("x = 3", "expected keys environment and settings, found 'x'"),
        ("settings = 3\n", "settings: expected a table, found 3"),
        ("environment", "expected TOML"),
        ('environment = "online-packing"\n[settings]\nscale = 0', "scale: expected an integer"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as refused:
        make_environment(str(path))
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "environment: expected one of online-packing, multi-secretary"),
        (["missing.toml"], "missing.toml: cannot be read"),
        (["online-packing", "--policies", "x"], "has dp, bayes, resolve, static, irt; found 'x'"),
        (["online-packing", "--policies", "bayes,bayes"], "policies: expected different names"),
        (["online-packing", "--horizons", "ten"], "horizons: expected integers separated by"),
        (["online-packing", "--horizons", "0"], "horizons: expected different integers of at"),
        (["online-packing", "--horizons", "201"], "stay integers, found 201"),
        (["online-packing", "--set", "sclae=2"], "expected settings among scale; found 'sclae'"),
        (["online-packing", "--replications", "0"], "Invalid value for '--replications'"),
        (
            ["online-packing", "--set", "scale=30", "--policies", "dp"],
            "policy dp: expected a table",
        ),
    ],
)
def test_bad_usage_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(["regret", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["regret", "multi-secretary", "--horizons", "50,100", "--replications", "5"]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "benchmark at T = 50, 100: hindsight optimum (exact)" in shown
    assert "compensations at T = 100" in shown


def test_every_environment_keeps_the_identity() -> None:
    # Exactly, on every path, for every policy; with an exact oracle nothing is negative.
    for name in ENVIRONMENTS:
        environment = make_environment(name)
        # Latency is searched for, decision by decision: test_latency.py has more.
        short = {"horizons": [6], "replications": 2}
        span = short if "latency" in name else {"horizons": [60], "replications": 10}
        study = measure_regret(environment, **span)  # type: ignore[arg-type]  # as named
        assert {row.policy for row in study.rows} == set(environment.policies)
        assert {row.identity_residual for row in study.rows} == {0}
        assert min(row.smallest_compensation for row in study.rows) >= 0


def test_exact_values_are_of_all_horizons() -> None:
    found = exact_values(
        make_environment("online-packing"), policies=["static"], horizons=[50, 100]
    )
    assert [(p, T) for p, T, _ in found.rows] == [("static", 50), ("static", 100)]
    assert found.fluid == 200


def test_list_settings_are_read_exactly() -> None:
    setting = ListSetting(name="rates", kind="numbers", description="")
    assert setting.read("0.1, 2") == setting.read([0.1, 2])
    for bad in ("", "1,,2", "x", "-1", [True], "nan", {}):
        with pytest.raises(InputError, match="rates: expected numbers from 0"):
            setting.read(bad)
    with pytest.raises(InputError, match="o: expected integers from"):
        ListSetting(name="o", kind="integers", description="").read("1.5")
