"""Charts: ticks where something was computed, curves that coincide told apart, one axis for all."""

import numpy as np
import pytest

from batchprophet import pictures
from batchprophet.online.regret import Decomposition
from batchprophet.pictures import charts, palette, plots


def test_ticks_are_at_the_horizons_that_were_run():
    T = [500, 2_000, 8_000, 32_000]
    (ax,) = pictures.log_lines(T, {"a": [1, 2, 3, 4]}, x_label="T", y_label="regret").axes
    assert ax.get_xticks().tolist() == T
    assert not ax.get_xticks(minor=True).size
    assert [text.get_text() for text in ax.get_xticklabels()] == ["500", "2,000", "8,000", "32,000"]


def test_numbers_that_would_touch_are_left_out_and_their_ticks_stay():
    figure = palette.picture(7.2, 3)
    ax = figure.add_subplot()
    ax.set_xscale("log")
    x = np.array([1000, 1010, 1020, 1000_000])
    ax.plot(x, x)
    charts.mark_horizons(ax, x)
    assert ax.get_xticks().size == 4
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1,000", "", "", "1,000,000"]


def test_curves_that_coincide_are_told_apart_and_others_left_alone():
    one = [1.0, 2.0, 4.0]
    curves = {"a": one, "b": [3.0, 3.0, 3.0], "c": one, "d": one}
    (ax,) = pictures.lines([1, 2, 3], curves, x_label="x", y_label="y").axes
    a, b, c, d = ax.lines
    assert a.get_linewidth() > c.get_linewidth() > d.get_linewidth() == b.get_linewidth()
    assert a.get_zorder() < c.get_zorder() < d.get_zorder() == b.get_zorder()
    assert d.get_alpha() is b.get_alpha() is None
    assert a.get_alpha() == c.get_alpha() < 1


def test_names_of_one_number_share_a_line():
    found = pictures.intervals({"known": (3, 9)}, {"a": 10, "b": 12, "c": 10}, label="rounds")
    assert [line.get_label() for line in found.axes[0].lines] == ["a, c", "b"]


def test_all_policies_share_the_axes_of_time_and_of_shares():
    rows = [
        Decomposition(
            policy=policy,
            horizon=100,
            by_time=np.array([size, 0.0]),
            by_part={"idle": 0.75 * size, "late": 0.25 * size},
        )
        for policy, size in (("bayes", 4.0), ("static", 4000.0))
    ]
    axes = np.array(pictures.decomposition_bars(rows).axes).reshape(2, 2)
    for left, right in axes:
        assert left.get_xlim() == (0, 100)
        assert [bar.get_width() for bar in right.patches] == [0.75, 0.25]
    assert axes[0, 1].get_xlim() == axes[1, 1].get_xlim()
    titles = [left.get_title(loc="left") for left, _ in axes]
    assert titles == ["bayes: 4.0 in all", "static: 4,000.0 in all"]


@pytest.mark.parametrize("colour", palette.REQUESTS)
def test_ids_are_legible_on_their_colours(colour):
    # A ratio of contrast of at least 4.5 is level AA of WCAG 2.
    def luminance(text):
        parts = [palette._linear(int(text[k : k + 2], 16) / 255) for k in (1, 3, 5)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    ink = palette.ink_on(colour)
    high, low = sorted((luminance(ink), luminance(colour)), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_seven_requests_have_seven_colours():
    assert len({palette.of_request(i) for i in range(7)}) == 7
    assert plots.MOST_NAMES == 30


def test_as_many_policies_as_a_study_may_have_are_told_apart():
    # Five policies with four kinds of lengths, and some that need none.
    assert len(set(palette.LINES)) == len(palette.LINES) >= 24
