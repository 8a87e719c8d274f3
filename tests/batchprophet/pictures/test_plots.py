"""Pictures: what they show is recomputed by hand; they leak nothing and stay small and quick."""

from __future__ import annotations

import time
import warnings
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from batchprophet.pictures import mixed_profiles as profiles
from batchprophet.pictures import palette, panels, plots
from batchprophet.pictures.svg import to_svg


def one_by_one(instance: Instance) -> MixedSchedule:
    """Serve requests one after the other, in order: feasible, whatever they are."""
    start, free = np.zeros(instance.n, dtype=np.int64), 0
    for i in range(instance.n):
        start[i] = max(free, int(instance.arrival[i]))
        free = int(start[i] + instance.output[i])
    return MixedSchedule(start)


def random_instance(n: int, seed: int, *, span: int = 20) -> Instance:
    rng = np.random.default_rng(seed)
    return Instance(
        gpu=Gpu(kv_capacity=40),
        arrival=np.sort(rng.integers(0, span + 1, n)),
        prompt=rng.integers(1, 6, n),
        output=rng.integers(1, 21, n),
    )


def held_by_hand(instance: Instance, schedule: MixedSchedule) -> dict[int, int]:
    """KV tokens held in each round, counted request by request."""
    held: dict[int, int] = {}
    runs = [(i, int(k), int(k + instance.output[i])) for i, k in enumerate(schedule.start)]
    runs += [(run.request, run.start, run.end) for run in schedule.evicted]
    for i, k, end in runs:
        for t in range(k + 1, end + 1):
            held[t] = held.get(t, 0) + int(instance.prompt[i]) + t - k
    return held


@pytest.mark.parametrize("bins", [1, 3, 7, 1000])
def test_envelope_is_least_and_most_of_each_bin(bins: int) -> None:
    instance = random_instance(15, seed=4, span=60)
    schedule = MixedSchedule(one_by_one(instance).start + 5, [Eviction(0, 1, 4)])
    held = held_by_hand(instance, schedule)
    edges, low, high = profiles.kv_envelope(instance, schedule, bins=bins)
    assert edges.size - 1 <= bins
    for j, (first, last) in enumerate(pairwise(edges.tolist())):
        inside = [held.get(t, 0) for t in range(int(first) + 1, int(last) + 1)]
        assert (low[j], high[j]) == (min(inside), max(inside))


@pytest.mark.parametrize("bins", [1, 5, 1000])
def test_counts_are_time_averages(bins: int) -> None:
    # In round t run those with start < t ≤ completion; those arrived before t and not done wait.
    instance = random_instance(15, seed=5, span=60)
    schedule = one_by_one(instance)
    completion = schedule.completion(instance)
    edges, running, waiting = profiles.counts(instance, schedule, bins=bins)
    for j, (first, last) in enumerate(pairwise(edges.tolist())):
        t = np.arange(first + 1, last + 1)[:, None]
        runs = ((schedule.start < t) & (t <= completion)).sum(axis=1)
        present = ((instance.arrival < t) & (t <= completion)).sum(axis=1)
        assert running[j] == pytest.approx(runs.mean())
        assert waiting[j] == pytest.approx((present - runs).mean())


def test_gantt_bars_are_the_runs() -> None:
    # r0 runs in rounds 1-4, r1 arrives at 2, waits until 4, runs in rounds 5-6.
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    figure = plots.gantt(instance, MixedSchedule([0, 4]))
    spans = {
        patch.get_label(): [
            (float(box[:, 0].min()), float(box[:, 0].max()))
            for box in np.split(patch.get_path().vertices, len(patch.get_path().vertices) // 5)
        ]
        for patch in figure.axes[0].patches
    }
    assert spans == {
        "waiting": [(2, 4)],
        "token rounds": [(0, 4), (4, 6)],
        "prompt round": [(0, 1), (4, 5)],
    }


def test_gantt_shows_lost_work_hatched() -> None:
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[1, 1], output=[4, 4])
    figure = plots.gantt(instance, MixedSchedule([5, 0], [Eviction(0, 0, 2)]))
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert [patch.get_label() for patch in hatched] == ["evicted"]
    assert hatched[0].get_path().get_extents().width == 2


def test_kv_wedges_stack_up_to_the_occupancy() -> None:
    # The tops of the wedges are the occupancy counted by hand, round by round.
    instance = random_instance(12, seed=1)
    schedule = MixedSchedule(one_by_one(instance).start // 2)
    figure = plots.kv(instance, schedule)
    top: dict[int, float] = {}
    for wedge in figure.axes[0].patches:
        x, y = wedge.get_path().vertices.T
        for t in range(int(x.min()) + 1, int(x.max()) + 1):
            column = y[(x == t) | (x == t - 1)]
            top[t] = max(top.get(t, 0), *column)
    held = held_by_hand(instance, schedule)
    # A vertical edge belongs to two rounds: compare where the occupancy does not fall.
    rising = [t for t in held if held.get(t + 1, 0) <= held[t] >= held.get(t - 1, 0)]
    assert len(rising) > 3
    assert [top[t] for t in rising] == [held[t] for t in rising]


def test_capacity_line_is_drawn_and_labelled() -> None:
    instance = random_instance(12, seed=1)
    (ax,) = plots.kv(instance, one_by_one(instance)).axes
    assert [float(line.get_ydata()[0]) for line in ax.lines] == [40.0]
    first, *ids = [text.get_text() for text in ax.texts]
    assert first == "capacity M = 40"
    assert set(ids) <= {instance.request_id(i) for i in range(instance.n)}


def test_a_request_has_one_colour_and_its_id_in_every_picture() -> None:
    # Two schedules stack the same requests in another order: colours go with requests.
    instance = Instance(
        gpu=Gpu(kv_capacity=40), arrival=[0] * 3, prompt=[9, 8, 7], output=[9, 8, 7],
        id=["a", "b", "c"],
    )  # fmt: skip
    for starts in ([0, 9, 17], [15, 7, 0]):
        schedule = MixedSchedule(starts)
        (ax,) = plots.kv(instance, schedule).axes
        by_start = sorted(range(3), key=lambda i: starts[i])
        colours = [to_hex(patch.get_facecolor()) for patch in ax.patches]
        assert colours == [palette.of_request(i) for i in by_start]
        _, *ids = ax.texts
        assert [text.get_text() for text in ids] == [instance.request_id(i) for i in by_start]
        for text, patch in zip(ids, ax.patches, strict=True):
            assert patch.get_path().contains_point(text.get_position())
        (rows,) = plots.gantt(instance, schedule).axes
        marks = [to_hex(colour) for colour in rows.collections[0].get_colors()]
        assert marks == colours
    assert not {palette.PROMPT, palette.TOKENS, palette.LOST} & set(palette.REQUESTS)


def test_waiting_curve_is_the_distribution_function() -> None:
    # Waits 0, 2, 2: a third waits 0, all wait at most 2.
    instance = Instance(gpu=Gpu(kv_capacity=99), arrival=[0, 0, 1], prompt=[1] * 3, output=[1] * 3)
    (ax,) = plots.waiting(instance, {"mine": MixedSchedule([0, 2, 3])}).axes
    x, share = ax.lines[0].get_data()
    assert x.tolist() == [0, 0, 2]
    assert share.tolist() == pytest.approx([0, 1 / 3, 1])


def test_pictures_draw_into_given_axes_only() -> None:
    instance = random_instance(12, seed=1)
    picture = palette.picture(4, 3)
    ax = picture.add_subplot()
    for draw in (plots.gantt, plots.kv):
        assert draw(instance, one_by_one(instance), ax=ax) is picture
    assert plots.waiting(instance, {"a": one_by_one(instance)}, ax=ax) is picture


def test_pictures_leave_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    instance = random_instance(12, seed=1)
    to_svg(plots.gantt(instance, one_by_one(instance)), name="x", description="x")
    assert dict(mpl.rcParams) == before


def test_picture_shows_itself_in_a_notebook() -> None:
    instance = random_instance(3, seed=1)
    figure = plots.kv(instance, one_by_one(instance))
    assert isinstance(figure, palette.Picture)
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [plots.gantt, plots.kv])
def test_svg_is_small_deterministic_wellformed_and_in_the_colour_of_the_page(draw) -> None:  # type: ignore[no-untyped-def]  # either of two plots
    instance = random_instance(40, seed=2)
    schedule = one_by_one(instance)
    first, second = (
        to_svg(draw(instance, schedule), name="a", description='x "<&>"') for _ in range(2)
    )
    assert first == second
    root = ElementTree.fromstring(first)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'x "<&>"'
    assert "width" not in root.attrib
    assert "currentColor" in first
    assert palette.INK not in first
    assert len(first) < 60_000


def test_svg_leaves_labels_as_they_are() -> None:
    # Rounding coordinates must not touch the digits of a label.
    instance = random_instance(3, seed=1)
    schedules = {"hindsight": one_by_one(instance), "mine:alpha=0.12345": one_by_one(instance)}
    svg = to_svg(plots.waiting(instance, schedules), name="a", description="x")
    assert ">mine:alpha=0.12345<" in svg


@pytest.mark.parametrize("odd", ["$x_{1", "日本", "a" * 200, "_hidden", "\x07"])
def test_names_that_are_no_formula_and_no_glyph(odd: str) -> None:
    # Request ids and policy names are other people's: none may break or warn. (Instances refuse
    # control characters in ids.)
    instance = random_instance(3, seed=1).replace(id=(odd if odd > " " else "a", "b", "c"))
    schedule = one_by_one(instance)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.gantt(instance, schedule).savefig("/dev/null", format="png")
        plots.waiting(instance, {"hindsight": schedule, odd: schedule})._repr_png_()
        panels.gantts(instance, {odd: schedule})._repr_png_()


@pytest.mark.parametrize(
    ("arrival", "prompt", "output", "start"),
    [
        ([0], [1], [1], [0]),  # one request of one round
        ([5, 5], [1, 1], [1, 1], [5, 5]),  # nobody waits
        ([0, 10**9], [1, 1], [2, 2], [0, 10**9]),  # a long silence
    ],
)
def test_extreme_schedules_are_drawn(
    arrival: list[int], prompt: list[int], output: list[int], start: list[int]
) -> None:
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=arrival, prompt=prompt, output=output)
    schedule = MixedSchedule(start)
    for figure in (
        plots.gantt(instance, schedule),
        plots.kv(instance, schedule),
        plots.waiting(instance, {"a": schedule}),
        panels.gantts(instance, {"a": schedule, "b": schedule}),
        panels.kvs(instance, {"a": schedule}),
    ):
        assert isinstance(figure, Figure)
        assert len(to_svg(figure, name="a", description="x")) < 100_000


def test_twenty_thousand_requests_are_drawn_quickly_and_small() -> None:
    rng = np.random.default_rng(0)
    instance = Instance(
        gpu=Gpu(kv_capacity=65_536),
        arrival=np.sort(rng.integers(0, 70_000, 20_000)),
        prompt=rng.integers(1, 4_000, 20_000),
        output=rng.integers(1, 1_000, 20_000),
    )
    schedule = MixedSchedule(instance.arrival + rng.integers(0, 500, 20_000))
    begin = time.perf_counter()
    pages = [
        to_svg(draw(instance, schedule), name="a", description="x")
        for draw in (plots.gantt, plots.kv)
    ]
    assert time.perf_counter() - begin < 6  # 0.7 s on an idle machine
    assert sum(map(len, pages)) < 250_000
