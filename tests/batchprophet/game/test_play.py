"""The levels, the page's data, and the command `play`."""

from __future__ import annotations

import json
import re

import pytest

import batchprophet as bp
from batchprophet.cli import run as run_command
from batchprophet.game.level import MOST_REQUESTS, built_in_levels, level_of
from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.metrics import measure
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from batchprophet.pictures import palette
from tests.batchprophet.game.javascript import NODE, run
from tests.paths import ROOT


@pytest.fixture(scope="module")
def game(games):
    return games["mixed"]


@pytest.fixture(scope="module")
def small():
    gpu = bp.Gpu(kv_capacity=9)
    return bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2], name="a </script> b")


def data_of(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )


def test_every_level_has_a_proved_optimum_and_schedules_that_the_checker_accepts(game):
    records = game.to_record()["levels"]
    assert game.summary() == "7 levels, all with a proved optimum"
    assert [each["best"]["value"] for each in records] == [16, 27, 26, 27, 105, 128, 30]
    assert len({each["key"] for each in records}) == len(records)
    for level, record in zip(built_in_levels("mixed"), records, strict=True):
        assert record["best"]["bound"] == record["best"]["value"]
        assert len(record["policies"]) + len(record["unfinished"]) == 8
        for each in (record["best"], *record["policies"]):
            runs = [Eviction(*run) for run in each["lost"]]
            schedule = MixedSchedule(each["start"], runs)
            assert check_mixed(level.instance, schedule) == []
            assert measure(level.instance, schedule).total_latency == each["value"]
            assert each["value"] >= record["best"]["bound"]


def test_the_levels_grow_and_greedy_rules_are_wrong_where_they_should_be(game):
    records = game.to_record()["levels"]
    optimum = [each["best"]["value"] for each in records]
    policies = [{p["name"]: p["value"] for p in each["policies"]} for each in records]
    assert all(4 <= len(each["requests"]) <= 12 for each in records)
    by_output = [p["mc-sf"] > best for p, best in zip(policies, optimum, strict=True)]
    assert by_output == [False, False, True, True, True, True, True]
    first_come = [p["mc-benchmark"] > best for p, best in zip(policies, optimum, strict=True)]
    assert all(first_come)
    none_best = [min(p.values()) > best for p, best in zip(policies, optimum, strict=True)]
    assert none_best == [False, False, False, True, True, True, True]


#: Levels of which the optimum is proved, and those in which no policy finds it.
PROVED = {"separate": [1, 2, 3, 4, 5], "continuous": [1, 2, 3, 4]}
SURPRISING = {"separate": [2, 4, 5], "continuous": [3, 5]}


@pytest.mark.skipif(NODE is None, reason="needs node")
@pytest.mark.parametrize("model", sorted(PROVED))
def test_levels_with_batches_have_optima_and_schedules_that_the_page_can_play(games, model):
    records = games[model].to_record()["levels"]
    assert len(records) == len({each["key"] for each in records}) == 5
    best = [each["best"] for each in records]
    proved = [k + 1 for k, each in enumerate(best) if each["bound"] == each["value"]]
    assert proved == PROVED[model]
    least = [min(policy["value"] for policy in each["policies"]) for each in records]
    pairs = zip(least, best, strict=True)
    assert [k + 1 for k, (p, b) in enumerate(pairs) if p > b["value"]] == SURPRISING[model]
    assert records[-1]["knows"] == "arrived"
    for record in records:
        jobs = [
            {"level": record, "batches": each["batches"]}
            for each in (record["best"], *record["policies"])
        ]
        totals = [each["value"] for each in (record["best"], *record["policies"])]
        assert run(PLAYED, jobs) == totals


#: The page's rules refuse nothing in the package's schedules, and count the same.
PLAYED = """({ level, batches }) => {
  const rules = REGIMES[level.regime];
  return rules.latency(level, rules.played(level, batches));
}"""


@pytest.mark.parametrize("model", ["separate", "continuous"])
def test_an_instance_of_any_regime_becomes_a_level(model, tmp_path, capsys, small):
    bp.write_instance(small, tmp_path / "small.json")
    out = tmp_path / "play.html"
    words = ["play", str(tmp_path / "small.json"), "--regime", model, "--out", str(out)]
    assert run_command(words) == 0
    assert "1 level, its optimum proved" in capsys.readouterr().out
    (record,) = data_of(out.read_text("utf-8"))["levels"]
    assert record["regime"] == model
    assert record["law"]["divisor"] == 1
    with pytest.raises(bp.InputError, match="model: expected 'mixed', 'separate' or 'continuous'"):
        bp.play(small, model="both")


def test_times_that_a_page_cannot_count_are_refused():
    far = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[2**53], prompt=[1], output=[1])
    with pytest.raises(bp.InputError, match=r"times that a page can count, below 2\^53"):
        level_of(far)


def test_the_page_needs_nothing_else_and_is_the_same_every_time(small):
    game = bp.play(small, time_limit=10)
    page = game.html(command="batchprophet play")
    assert page == bp.play(small, time_limit=10).html(command="batchprophet play")
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe)\b|@import|url\((?!#)|\bsrc=|fetch\(|XMLHttp", page)
    (record,) = data_of(page)["levels"]
    assert record["title"] == "a </script> b"
    assert [each["id"] for each in record["requests"]] == ["r0", "r1"]


def test_an_optimum_that_is_not_proved_is_an_interval():
    settings = {"n": 40, "rate": 1.0, "kv_capacity": 30}
    game = bp.play(bp.make("arrival-model-2", seed=1, settings=settings), time_limit=0)
    (record,) = game.to_record()["levels"]
    assert 0 < record["best"]["bound"] < record["best"]["value"]
    assert game.summary() == "1 level, its optimum not proved"


def test_too_many_requests_are_refused():
    n = MOST_REQUESTS + 1
    gpu = bp.Gpu(kv_capacity=9)
    large = bp.Instance(gpu=gpu, arrival=[0] * n, prompt=[1] * n, output=[1] * n, name="crowd")
    with pytest.raises(bp.InputError, match=r"at most 40 requests.* found 41 in 'crowd'"):
        level_of(large)


def test_the_command_writes_one_page_and_says_how_to_open_it(tmp_path, capsys, small):
    bp.write_instance(small, tmp_path / "small.json")
    out = tmp_path / "play.html"
    assert (
        run_command(["play", str(tmp_path / "small.json"), "--out", str(out), "--seed", "1"]) == 0
    )
    said = capsys.readouterr().out
    assert said == (
        f"wrote {out}: 1 level, its optimum proved; open it in a browser, it needs no network\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["play.html", "small.json"]
    assert f"batchprophet play {tmp_path}" not in said
    assert data_of(out.read_text("utf-8"))["levels"][0]["best"]["value"] == 7


@pytest.mark.parametrize("wrong", ["missing", "broken", "crowd", "separate", "itself", "folder"])
def test_bad_input_is_one_line_and_exit_code_2(wrong, tmp_path, capsys, small):
    path, out = tmp_path / "instance.json", tmp_path / "play.html"
    one = {"arrival": [0], "prompt": [1], "output": [1]}
    if wrong == "broken":
        path.write_text("{")
    elif wrong == "crowd":
        many = {key: value * 41 for key, value in one.items()}
        bp.write_instance(bp.Instance(gpu=bp.Gpu(kv_capacity=9), **many), path)
    elif wrong == "separate":
        gpu = bp.Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=2, token=1))
        bp.write_instance(bp.Instance(gpu=gpu, **one), path)
    elif wrong != "missing":
        bp.write_instance(small, path)
    if wrong == "itself":
        out = path
    elif wrong == "folder":
        out = tmp_path / "none" / "play.html"
    assert run_command(["play", str(path), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    expected = {
        "missing": "cannot be read",
        "broken": "instance.json",
        "crowd": "instance.json: play: expected at most 40 requests",
        "separate": "mixed batching takes unit batch times",
        "itself": "--out: expected another file than INSTANCE",
        "folder": "cannot be written",
    }
    assert expected[wrong] in said.err
    assert not (tmp_path / "play.html").exists()


def test_requests_have_the_colours_that_they_have_in_all_pictures():
    source = (ROOT / "batchprophet/game/templates/picture.js").read_text("utf-8")
    listed = re.search(r"const COLOURS = \[(.*?)\];", source)[1]
    assert tuple(re.findall(r"#[0-9a-f]{6}", listed)) == palette.REQUESTS
    whites = json.loads(re.search(r"const inkOn = i => \((\[.*?\])", source)[1])
    dark = [palette.ink_on(colour) == "#ffffff" for colour in palette.REQUESTS]
    assert whites == [i for i, each in enumerate(dark) if each]
