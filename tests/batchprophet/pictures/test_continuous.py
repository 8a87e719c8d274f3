"""Pictures of continuous batching: the running requests under their limit, and the common axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.models.errors import InputError
from batchprophet.pictures import plots
from batchprophet.pictures.panels import common_end, gantt_over_kv, last_completion


@pytest.fixture(scope="module")
def instance():
    """Two seats, three requests: the third waits for one of them."""
    gpu = bp.Gpu(kv_capacity=40, running_requests=2)
    return bp.Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[3, 3, 3], output=[2, 4, 2])


def schedule_of(instance, policy="vllm"):
    return bp.simulate(instance, policy, model="continuous").schedule


def test_seats_show_how_many_run_over_time_and_the_limit(instance):
    schedule = schedule_of(instance)
    # Rounds 1-2: r0 and r1; r0 is complete. Rounds 3-4: r1 and r2, both complete then.
    ax = plots.seats(instance, schedule).axes[0]
    (steps,) = (patch for patch in ax.patches if hasattr(patch, "get_data"))
    values, edges, _ = steps.get_data()
    assert dict(zip(edges[:-1].tolist(), values.tolist(), strict=True)) == {0: 2, 1: 2, 2: 2, 3: 2}
    assert edges[-1] == 4
    (line,) = ax.lines
    assert set(line.get_ydata()) == {2}
    assert [text.get_text() for text in ax.texts] == ["seats B = 2"]


def test_a_limit_far_above_what_runs_is_said_and_not_drawn(instance):
    wide = instance.replace(gpu=replace(instance.gpu, running_requests=100))
    ax = plots.seats(wide, schedule_of(wide)).axes[0]
    assert len(ax.lines) == 0
    assert [text.get_text() for text in ax.texts] == ["seats B = 100, off the scale"]
    assert ax.get_ylim()[1] < 10


def test_seats_are_of_continuous_batching_only(instance):
    small = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    with pytest.raises(InputError, match="plot_seats: expected a schedule of continuous batching"):
        plots.seats(small, bp.MixedSchedule([0]))


@pytest.mark.parametrize(("limit", "panels"), [(2, 4), (None, 3)])
def test_the_panel_of_seats_is_there_where_they_are_limited(instance, limit, panels):
    given = instance.replace(gpu=replace(instance.gpu, running_requests=limit))
    figure = gantt_over_kv(given, schedule_of(given), order=np.arange(3), until=10, width=5.0)
    assert len(figure.axes) == panels


def test_a_slow_policy_does_not_stretch_the_axis_and_its_caption_says_so(instance, tmp_path):
    many = bp.Instance(
        gpu=bp.Gpu(kv_capacity=400, batch_tokens=100),
        arrival=list(range(12)),
        prompt=[3] * 12,
        output=[10] * 12,
    )
    compared = bp.compare(many, policies="vllm,orca,decode-first", model="continuous", time_limit=0)
    schedules = compared.schedules()
    ends = {name: int(each.completion(many).max()) for name, each in schedules.items()}
    end = common_end(many, schedules)
    if ends["decode-first"] <= 2 * ends["vllm"]:
        assert end == last_completion(many, schedules)
    else:
        assert end == max(ends["vllm"], ends["orca"], ends["hindsight"])
    slow = {name: bp.MixedSchedule([start]) for name, start in zip("abc", (0, 1, 96), strict=True)}
    one = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    assert common_end(one, slow) == 5
    page = compared.save(tmp_path).read_text()
    assert ("cut off at" in page) == (end < last_completion(many, schedules))
