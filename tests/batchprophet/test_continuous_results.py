"""Results of continuous batching: goodput under limits, the gap as speed, other GPUs."""

from __future__ import annotations

import json

import pytest

import batchprophet as bp
from batchprophet.arguments.slo import Slo, parse_slo
from batchprophet.cli import run
from batchprophet.models.batch_time import AffineTime
from batchprophet.models.errors import InputError
from batchprophet.models.files.instance_file import write_instance

LAW = AffineTime(c0=10.0, c1=0.1, c2=0.5, c3=0.001)


@pytest.fixture(scope="module")
def instance():
    """Four requests at once on two seats: two wait until the first two are complete."""
    gpu = bp.Gpu(kv_capacity=400, running_requests=2, batch_time=LAW)
    return bp.Instance(
        gpu=gpu, arrival=[0, 0, 0, 0], prompt=[100] * 4, output=[5, 5, 5, 1], name="four"
    )


@pytest.fixture
def path(instance, tmp_path):
    write_instance(instance, tmp_path / "four.json")
    return str(tmp_path / "four.json")


def test_goodput_counts_requests_within_both_limits(instance):
    # The first batch reads 200 prompt tokens: 30 ms. Then four batches of two token jobs, 11 ms
    # and a little each; so the other two have their first token after 74 ms and more.
    simulated = bp.simulate(instance, "vllm", model="continuous", slo="ttft=40,tpot=12")
    assert simulated.goodput.share == 0.5
    record = simulated.metrics_record()["goodput"]
    assert (record["ttft"], record["tpot"], record["unit"]) == (40.0, 12.0, "ms")
    seconds = simulated.metrics.makespan / 10**6
    assert record["requests_per_unit"] == pytest.approx(2 / seconds)
    assert "50.0% of the requests within 40 ms to the first token and 12 ms per" in (
        simulated.summary()
    )
    alone = bp.simulate(instance, "vllm", model="continuous", slo="tpot=12")
    assert alone.goodput.share == 1.0
    assert alone.metrics_record()["goodput"]["ttft"] is None
    none = bp.simulate(instance, "vllm", model="continuous", slo="tpot=10.5")
    assert none.goodput.share == 0.25  # a request of one token has no time per output token


def test_limits_are_inclusive_and_in_rounds_under_the_unit_law():
    instance = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    simulated = bp.simulate(instance, "vllm", model="continuous", slo="ttft=1")
    assert simulated.goodput.share == 1.0
    assert simulated.goodput.unit == "rounds"


@pytest.mark.parametrize(
    "text",
    ["", "ttft", "ttft=x", "ttft=-1", "ttft=0", "ttft=inf", "ttft=nan", "p99=3", "tpot=1,tpot=2"],
)
def test_bad_limits_are_refused_in_a_line(text, path, capsys):
    with pytest.raises(InputError, match="slo: expected ttft=T,tpot=T or one of them"):
        parse_slo(text)
    words = ["simulate", path, "--policy", "vllm", "--model", "continuous", "--slo", text]
    assert run(words) == 2
    assert capsys.readouterr().err.startswith("batchprophet: slo: expected")


def test_limits_in_words():
    assert parse_slo(" ttft=500 , tpot=40 ") == Slo(ttft=500.0, tpot=40.0)
    assert Slo(ttft=500.0).text("ms") == "500 ms to the first token"


@pytest.mark.parametrize(
    ("model", "policy", "unit"), [("mixed", "mc-sf", "rounds"), ("separate", "prefill-first", "ms")]
)
def test_every_regime_takes_limits(model, policy, unit, instance):
    gpu = bp.Gpu(kv_capacity=400, batch_time=instance.gpu.batch_time)
    taken = bp.Instance(
        gpu=bp.Gpu(kv_capacity=400) if model == "mixed" else gpu,
        arrival=instance.arrival, prompt=instance.prompt, output=instance.output,
    )  # fmt: skip
    goodput = bp.simulate(taken, policy, model=model, slo="ttft=40,tpot=0.5").goodput
    assert goodput.unit == unit
    alone = int((taken.output == 1).sum())
    assert goodput.requests <= alone  # no batch is shorter
    assert bp.simulate(taken, policy, model=model, slo="ttft=1e9").goodput.share == 1


def test_two_regimes_at_once_take_no_limits(path, capsys):
    assert run(["compare", path, "--model", "both", "--slo", "ttft=5"]) == 2
    assert capsys.readouterr().err == "batchprophet: slo: expected one regime, found --model both\n"


def test_check_shows_the_goodput_of_a_feasible_schedule_only(instance, path, tmp_path, capsys):
    bp.simulate(instance, "vllm", model="continuous").save(tmp_path / "s.json")
    words = ["check", path, str(tmp_path / "s.json"), "--slo", "ttft=40"]
    assert run(words) == 0
    assert "goodput   50.0% of the requests" in capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["goodput"]["share"] == 0.5
    record = json.loads((tmp_path / "s.json").read_text())
    del record["schedule"]["batches"][0]
    (tmp_path / "s.json").write_text(json.dumps(record))
    assert run([*words, "--json"]) == 1
    assert "goodput" not in json.loads(capsys.readouterr().out)


def test_the_solution_says_its_gap_as_speed_and_is_still_a_solution_file(path, tmp_path, capsys):
    words = ["solve", path, "--model", "continuous", "--time-limit", "0"]
    assert run([*words, "--json", "--out", str(tmp_path / "s.json")]) == 0
    printed = capsys.readouterr().out
    record = json.loads(printed)
    assert record["status"] == "feasible"
    assert 0 < record["speed_equivalent_gap"] < 5
    assert json.loads((tmp_path / "s.json").read_text()) == record
    (tmp_path / "printed.json").write_text(printed)
    assert run(["check", path, str(tmp_path / "printed.json")]) == 0
    capsys.readouterr()
    assert run(words) == 0
    out = capsys.readouterr().out
    assert "gap as speed" in out
    assert f"mean latency  {record['objective'] / 4 / 1000:,.2f} ms" in out


def test_a_proved_solution_has_no_gap_to_close(instance, capsys):
    solved = bp.solve(instance, model="continuous", time_limit=20)
    assert solved.solution.status == "optimal"
    assert solved.speed_equivalent_gap == 0.0
    assert "gap as speed" not in solved.summary()


def test_other_regimes_have_no_gap_as_speed():
    small = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    assert "speed_equivalent_gap" not in bp.solve(small).to_record()


@pytest.fixture(scope="module")
def compared(instance):
    policies = "vllm,shortest-total,decode-first"
    return bp.compare(
        instance, policies=policies, model="continuous", time_limit=0, slo="ttft=40,tpot=12"
    )


def test_a_comparison_has_a_column_of_goodput(compared):
    assert [*compared.columns()][3:5] == ["p99", "goodput"]
    cells = {row.policy: row.cells() for row in compared.rows()}
    assert all(len(row) == len(compared.columns()) for row in cells.values())
    assert cells["vllm"][4] == "50.0%"
    record = compared.to_record()
    assert record["hindsight"]["goodput"]["share"] == 0.25  # a token of 11 ms is in each batch
    assert {each["policy"]: each["goodput"]["share"] for each in record["policies"]}["vllm"] == 0.5


def test_a_comparison_plays_the_best_policy_and_the_engines_rule_on_other_gpus(compared, instance):
    best = compared.rows()[1].policy
    assert set(compared.changes) == {"vllm", best}
    changes = {each.change: each for each in compared.changes["vllm"]}
    assert [*changes] == ["KV memory × 2", "seats × 2", "batches 10 % shorter"]
    seats = changes["seats × 2"]
    wider = bp.Gpu(kv_capacity=400, running_requests=4, batch_time=LAW)
    again = bp.simulate(instance.replace(gpu=wider), "vllm", model="continuous")
    assert seats.total_latency == again.metrics.total_latency
    text = compared.summary()
    assert f"The total latency of vllm changes by {100 * changes['KV memory × 2'].relative:.1f} %"
    assert " with seats × 2" in text
    record = compared.to_record()["policies"]
    shown = {each["policy"] for each in record if "counterfactuals" in each}
    assert shown == set(compared.changes)


def test_other_gpus_change_what_is_judged_and_no_gap_as_speed_is_told_of_it(instance):
    # Half of the requests are within the limits on two seats (above), all of them on four.
    compared = bp.compare(
        instance, policies="vllm", model="continuous", time_limit=0, objective="goodput",
        slo="ttft=60",
    )  # fmt: skip
    seats = {each.change: each for each in compared.changes["vllm"]}["seats × 2"]
    assert seats.relative == 1.0
    text = compared.summary()
    assert "The number of requests within the limits of vllm changes by " in text
    assert "total latency of vllm" not in text
    assert "Change of the number of requests within the limits where" in page_of(compared)
    # The bound that a faster GPU would reach is one of the total latency.
    assert compared.speed_equivalent_gap is None
    assert "would reach the lower bound" not in text


def page_of(compared):
    from batchprophet.report.page import Origin, render

    return render([compared], Origin.today(command="test"))


def test_a_change_from_nothing_has_no_ratio(instance):
    from batchprophet.online.continuous.counterfactuals import counterfactuals

    late = {"KV memory × 2": 0, "seats × 2": 3, "batches 10 % shorter": 0}
    values = iter([0, *late.values()])
    found = counterfactuals(instance, "vllm", value=lambda _, __: next(values))
    assert {each.change: each.relative for each in found} == {
        "KV memory × 2": 0.0, "seats × 2": None, "batches 10 % shorter": 0.0
    }  # fmt: skip


def test_the_report_has_the_goodput_and_other_gpus(compared, tmp_path):
    page = compared.save(tmp_path).read_text()
    assert "On other GPUs" in page
    assert "requests within 40 ms to the first token and 12 ms per output token" in page
    assert '<th scope="col">KV memory × 2</th>' in page


def test_a_comparison_of_mixed_batching_stays_as_it_was():
    small = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    compared = bp.compare(small, policies="mc-sf", time_limit=0)
    assert compared.changes == {}
    assert "goodput" not in compared.columns()
    assert "speed_equivalent_gap" not in compared.to_record()["hindsight"]
