"""What objects look like in a console and in a notebook: short, and escaped."""

from __future__ import annotations

import re

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.models.shown import MOST_ROWS
from batchprophet.online.environments import make_environment
from batchprophet.online.regret import exact_values, measure_regret


def instance_of(n, name="many"):
    rng = np.random.default_rng(0)
    return bp.Instance(
        gpu=bp.Gpu(kv_capacity=60, prompt_batch_requests=4),
        arrival=np.sort(rng.integers(0, 900, n)),
        prompt=rng.integers(1, 9, n),
        output=rng.integers(1, 9, n),
        name=name,
    )


@pytest.fixture(scope="module")
def objects():
    many = instance_of(300).replace(gpu=bp.Gpu(kv_capacity=60))
    solved = bp.solve(many, time_limit=0)
    simulated = bp.simulate(many, "vllm")
    separate = bp.simulate(instance_of(300), "prefill-first", model="separate")
    compared = bp.compare(many, policies="mc-sf,vllm", time_limit=0)
    environment = make_environment("multi-secretary", {})
    return {
        "instance": many,
        "solved": solved,
        "solution": solved.solution,
        "certificate": solved.solution.certificate,
        "schedule": simulated.schedule,
        "simulated": simulated,
        "separate": separate,
        "separate schedule": separate.schedule,
        "checked": bp.check(many, simulated.schedule),
        "violated": bp.check(many, bp.MixedSchedule([0] * 300)),
        "compared": compared,
        "comparison": compared.comparison,
        "policy result": compared.comparison.results[0],
        "both": bp.compare_both(instance_of(5), policies="mc-sf,prefill-first", time_limit=0),
        "regret": measure_regret(environment, horizons=[50, 100], replications=3),
        "exact": exact_values(environment, horizons=[50, 100]),
    }


NAMES = [
    "instance", "solved", "solution", "certificate", "schedule", "simulated", "separate",
    "separate schedule", "checked", "violated", "compared", "comparison", "policy result", "both",
    "regret", "exact",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_console_shows_three_lines_at_most(objects, name):
    shown = repr(objects[name])
    assert len(shown.splitlines()) <= 3
    assert len(shown) <= 700
    assert shown.startswith(type(objects[name]).__name__)


@pytest.mark.parametrize(
    "name",
    ["instance", "solved", "solution", "simulated", "checked", "violated", "compared", "both",
     "regret", "exact"],
)  # fmt: skip
def test_a_notebook_shows_a_table_of_bounded_size(objects, name):
    shown = objects[name]._repr_html_()
    assert shown.startswith("<table><caption>")
    assert 1 <= shown.count("<tr>") <= MOST_ROWS + 2  # the head, and how many more there are
    assert len(shown) < 10_000


def test_the_instance_says_what_it_leaves_out(objects):
    assert "n=300" in repr(objects["instance"])
    assert "… 280 more" in objects["instance"]._repr_html_()


def test_the_comparison_has_the_figures_of_the_table(objects):
    shown = objects["compared"]._repr_html_()
    for row in objects["compared"].rows():
        assert f"<td>{row.metrics.total_latency:,}</td>" in shown


def test_names_are_escaped():
    odd = instance_of(3, name="<script>alert(1)</script> & co").replace(gpu=bp.Gpu(kv_capacity=60))
    for each in (odd, bp.solve(odd, time_limit=0), bp.simulate(odd, "mc-sf")):
        assert "<script" not in each._repr_html_()
        assert "&lt;script&gt;" in each._repr_html_()
        assert not re.search(r"&(?!lt;|gt;|amp;|quot;|#x27;)", each._repr_html_())


def test_a_small_schedule_is_shown_whole():
    assert repr(bp.MixedSchedule([0, 3])) == "MixedSchedule(start=[0, 3])"
