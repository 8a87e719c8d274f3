"""Pictures of separate batching show what the schedule does."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from batchprophet.models.separate.timeline import timeline
from batchprophet.online.separate.conformance import random_instance
from batchprophet.online.separate.latency_breakdown import account
from batchprophet.online.separate.simulator import simulate_separate
from batchprophet.pictures import palette, panels, plots
from batchprophet.pictures import separate as separate_plots
from batchprophet.pictures.bins import bin_edges
from batchprophet.pictures.kv_profiles import kv_bins, kv_steps
from batchprophet.pictures.separate_profiles import mode_shares, service

#: P r0 0-2, idle 2-3, T r0 3-4, P r1 4-6, T both 6-7.
INSTANCE = Instance(
    gpu=Gpu(kv_capacity=20, batch_time=ConstantTime(prompt=2, token=1)),
    arrival=[0, 1],
    prompt=[3, 5],
    output=[3, 2],
)
SCHEDULE = SeparateSchedule(
    [
        Batch("prompt", 0, (0,)),
        Batch("token", 3, (0,)),
        Batch("prompt", 4, (1,)),
        Batch("token", 6, (0, 1)),
    ]
)


def drawn(ax):
    """Rectangles of each labelled patch: {label: [(left, right, bottom, top), …]}."""
    found = {}
    for patch in ax.patches:
        corners = patch.get_path().vertices.reshape(-1, 5, 2)
        low, high = corners.min(axis=1), corners.max(axis=1)
        boxes = np.column_stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]])
        found[patch.get_label()] = [tuple(map(float, box)) for box in np.round(boxes, 6)]
    return found


def test_rows_show_waiting_service_and_pauses():
    (ax,) = plots.gantt(INSTANCE, SCHEDULE).axes
    spans = {
        label: [(left, right) for left, right, _, _ in boxes] for label, boxes in drawn(ax).items()
    }
    assert spans == {
        "waiting": [(1, 4)],  # r1; r0 does not wait
        "paused": [(2, 7), (6, 7)],  # behind the token batches
        "token batches": [(3, 4), (6, 7), (6, 7)],
        "prompt batch": [(0, 2), (4, 6)],
    }
    assert ax.get_xlabel() == "time (slots)"


def test_modes_are_batches_as_high_as_they_have_requests():
    (ax,) = plots.modes(INSTANCE, SCHEDULE).axes
    assert drawn(ax) == {
        "prompt batch": [(0, 2, 0, 1), (4, 6, 0, 1)],
        "token batch": [(3, 4, 0, 1), (6, 7, 0, 2)],
    }
    colours = {patch.get_label(): to_hex(patch.get_facecolor()) for patch in ax.patches}
    assert colours == {"prompt batch": palette.PROMPT, "token batch": palette.TOKENS}


def test_kv_wedges_stack_up_to_what_is_held():
    figure = plots.kv(INSTANCE, SCHEDULE)
    outlines = [patch.get_xy() for patch in figure.axes[0].patches]
    # r0 holds 4 from 0 on, 5 from 3, 6 from 6 to 7; r1 6 from 4, 7 from 6, on top of it.
    assert [float(outline[:, 1].max()) for outline in outlines] == [6, 13]
    assert [float(outline[:, 0].min()) for outline in outlines] == [0, 4]
    assert kv_steps(timeline(INSTANCE, SCHEDULE))[1].tolist() == [4, 4, 5, 11, 13]


def large(seed, law=None):
    rng = np.random.default_rng(seed)
    n = 90
    return Instance(
        gpu=Gpu(kv_capacity=400, token_batch_requests=12,
                batch_time=law or ConstantTime(prompt=3, token=1)),
        arrival=np.sort(rng.integers(0, 900, n)), prompt=rng.integers(1, 60, n),
        output=rng.integers(1, 40, n),
    )  # fmt: skip


def test_bins_hold_the_least_and_the_most_exactly():
    for seed in range(5):
        instance = large(seed)
        time = timeline(instance, simulate_separate(instance, "hysteresis:high=3"))
        steps, held = kv_steps(time)
        edges, low, high = kv_bins(time, 50)
        each = np.repeat(held, np.diff(steps))  # by the slot
        for j in range(edges.size - 1):
            inside = each[edges[j] - steps[0] : edges[j + 1] - steps[0]]
            assert (low[j], high[j]) == (inside.min(), inside.max())


def test_mode_shares_are_time_over_time():
    instance = large(7)
    time = timeline(instance, simulate_separate(instance, "prefill-first"))
    edges = bin_edges(int(time.start[0]), int(time.end[-1]), 40)
    prompts, tokens = mode_shares(time, edges)
    for share, kind in ((prompts, time.prompt), (tokens, ~time.prompt)):
        spent = (share * np.diff(edges)).sum()
        assert spent == pytest.approx((time.end - time.start)[kind].sum())
    assert ((prompts + tokens) <= 1 + 1e-12).all()


def test_spans_of_service_have_the_jobs_time_and_do_not_touch():
    rng = np.random.default_rng(3)
    for _ in range(30):
        instance = random_instance(rng)
        time = timeline(instance, simulate_separate(instance, "shortest-remaining"))
        taken = time.end - time.start
        for prompt in (True, False):
            request, begin, end = service(time, prompt=prompt)
            jobs = time.batch[time.prompt[time.batch] == prompt]
            assert (end - begin).sum() == taken[jobs].sum()
            same = request[1:] == request[:-1]
            assert (begin[1:] > end[:-1])[same].all()


def test_many_batches_and_requests_are_summarised(monkeypatch):
    instance = large(1, AffineTime(c0=0.01, c1=0.0001, c2=0.0001, c3=0.0))
    schedule = simulate_separate(instance, "prefill-first")
    monkeypatch.setattr(separate_plots, "MOST_BATCHES", 10)
    monkeypatch.setattr(plots, "MOST_ROWS", 10)
    figure = panels.gantt_over_kv(
        instance, schedule, order=np.arange(instance.n), until=10_000, width=5.0
    )
    counts, modes, held = figure.axes
    assert [ax.get_ylabel() for ax in (counts, modes, held)] == [
        "requests (log scale)",
        "share of time",
        "KV tokens held",
    ]
    assert held.get_xlabel() == "time (s)"


def test_the_account_is_drawn_to_the_mean_latency():
    schedules = {
        policy: simulate_separate(INSTANCE, policy) for policy in ("prefill-first", "decode-first")
    }
    accounts = {name: account(INSTANCE, schedule) for name, schedule in schedules.items()}
    (ax,) = plots.latency_account(INSTANCE, accounts).axes
    ends = {}
    for bar in ax.patches:
        ends[bar.get_y()] = max(ends.get(bar.get_y(), 0.0), bar.get_x() + bar.get_width())
    means = [
        (schedule.completion(INSTANCE) - INSTANCE.arrival).mean() for schedule in schedules.values()
    ]
    assert list(ends.values()) == pytest.approx(means)
