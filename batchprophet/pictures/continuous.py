"""Pictures of a schedule of continuous batching: what batches hold, whom they serve, the KV memory.

Every function draws into the axes that it is given, and returns nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from . import axes, palette
from .account import Heading
from .axes import MOST_BINS
from .bins import bin_edges, mean_count
from .kv_profiles import busy_time, kv_bins, kv_steps
from .shapes import Wedge, bars, envelope

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..models.continuous.schedule import ContinuousSchedule
    from ..models.instance import FloatArray, Instance, IntArray

#: Up to here every batch is a bar of its own; beyond, shares of time are shown.
MOST_BATCHES = 300

#: Tokens in a batch up to which heights of batches are linear, and logarithmic beyond.
FEW_TOKENS = 10

#: Bins of the shares of time: many batches in each, so that shares read as areas.
SHARE_BINS = 120


#: A limit on running requests is drawn if it is at most this many times what runs.
NEAR_SEATS = 2


def starts(instance: Instance, schedule: ContinuousSchedule) -> IntArray:
    """Return when each request is served first, shape (n,): the start of its first chunk."""
    return schedule.timeline(instance).scheduled


def draw_modes(ax: Axes, instance: Instance, schedule: ContinuousSchedule) -> None:
    """Draw what batches hold over time: each batch, as high as it has tokens, by composition.

    Heights are linear up to `FEW_TOKENS`, and logarithmic beyond.

    Beyond `MOST_BATCHES` batches: the shares of time that batches of prompts, of both kinds and of
    token jobs take.
    """
    time = schedule.timeline(instance)
    prompts, jobs = time.prompt_tokens > 0, time.jobs > 0
    if time.start.size <= MOST_BATCHES:
        edge = {"linewidth": 0.3, "edgecolor": palette.INK}
        for height, bottom, colour, label in (
            (time.jobs, 0 * time.jobs, palette.TOKENS, "token jobs"),
            (time.prompt_tokens, time.jobs, palette.PROMPT, "prompt tokens"),
        ):
            some = height > 0
            bars(
                ax, time.start[some], time.end[some], (bottom + height / 2)[some], height[some],
                facecolor=colour, label=label, **edge,
            )  # fmt: skip
        most = int((time.jobs + time.prompt_tokens).max())
        if most > FEW_TOKENS:  # a few token jobs beside hundreds of prompt tokens stay visible
            ax.set_yscale("symlog", linthresh=FEW_TOKENS, linscale=1.0)
            ax.set_ylim(0, most * 1.3)
            ticks = [0, *(10**k for k in range(1, 8) if 10**k <= most)]
            ax.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
            ax.minorticks_off()
        else:
            ax.set_ylim(0, most * 1.05)
            ax.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        palette.dress(ax, x_label="", y_label="tokens in batch")
        return
    edges = bin_edges(int(time.start[0]), int(time.end[-1]), SHARE_BINS)
    below: FloatArray = np.zeros(edges.size - 1)
    for kind, colour, label in (
        (prompts & ~jobs, palette.PROMPT, "prompts only"),
        (prompts & jobs, palette.BOTH, "prompts and tokens"),
        (jobs & ~prompts, palette.TOKENS, "tokens only"),
    ):
        share = busy_time(time.start[kind], time.end[kind], edges) / np.diff(edges)
        ax.stairs(below + share, edges, baseline=below, fill=True, color=colour, label=label)
        below = below + share
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter("{x:.0%}")
    palette.dress(ax, x_label="", y_label="share of time")


def draw_rows(
    ax: Axes, instance: Instance, schedule: ContinuousSchedule, order: IntArray, *, separate: bool
) -> None:
    """Draw one row per request: waiting, until the first token, from it to the last one.

    A cross stands where a cache is dropped.
    """
    time = schedule.timeline(instance)
    row = np.empty(instance.n)
    row[order] = np.arange(instance.n)
    height, thin, alpha = (0.8, 0.12, 1.0) if separate else (1.0, 1.0, 0.35)
    grey = {"color": palette.WAITING, "alpha": alpha, "label": "waiting"}
    bars(ax, instance.arrival, time.scheduled, row, thin, **grey)
    spans = (time.first_token, time.completion)
    bars(ax, *spans, row, height, color=palette.TOKENS, label="first to last token")
    spans = (time.scheduled, time.first_token)
    bars(ax, *spans, row, height, color=palette.PROMPT, label="prompt")
    columns = schedule.columns
    if columns.drop_of.size:
        at = np.repeat(time.start, columns.drops)
        ax.plot(
            at, row[columns.drop_of], linestyle="", marker="x", markersize=3.0,
            color=palette.LOST, label="preempted",
        )  # fmt: skip


def draw_counts(ax: Axes, instance: Instance, schedule: ContinuousSchedule) -> None:
    """Draw those that wait as an area and those that run as a line, on a scale for both."""
    time = schedule.timeline(instance)
    edges = bin_edges(int(instance.arrival.min()), int(time.completion.max()), MOST_BINS)
    waiting = mean_count(edges, instance.arrival, time.scheduled)
    running = mean_count(edges, time.scheduled, time.completion)
    axes.draw_counts(ax, instance, edges, running, waiting)


def draw_kv(ax: Axes, instance: Instance, schedule: ContinuousSchedule) -> list[Wedge]:
    """Draw the KV tokens held, least and most where batches share a bin."""
    time = schedule.timeline(instance)
    edges, low, high = kv_bins(time, MOST_BINS)
    if 2 * time.start.size <= MOST_BINS:
        edges, low = kv_steps(time)
        high = low
    envelope(ax, edges, low, high)
    return []


def draw_seats(ax: Axes, instance: Instance, schedule: ContinuousSchedule) -> None:
    """Draw how many requests hold a cache, and the limit where it is near.

    As with the KV tokens: least and most where batches share a bin.
    """
    time = schedule.timeline(instance)
    ended = np.searchsorted(time.end, time.completion)
    after = time.running - np.bincount(ended, minlength=time.end.size)
    seats = time._replace(held=time.running, kept=after)
    edges, low, high = kv_bins(seats, MOST_BINS)
    if 2 * time.start.size <= MOST_BINS:
        edges, low = kv_steps(seats)
        high = low
    envelope(ax, edges, low, high)
    peak, limit = int(time.running.max()), instance.gpu.running_requests
    top = peak
    if limit is not None:
        words = f"seats B = {limit:,}"
        if limit <= NEAR_SEATS * peak:
            ax.axhline(limit, color=palette.INK, linewidth=1.4, linestyle=(0, (6, 2)))
            top = limit
        else:
            words += ", off the scale"
        ax.annotate(
            words, xy=(1.0, 1.0), xycoords="axes fraction", xytext=(0, -2),
            textcoords="offset points", ha="right", va="top", fontsize=palette.SMALL,
            color=palette.INK,
        )  # fmt: skip
    ax.set_ylim(0, top * 1.35)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    palette.dress(ax, x_label="", y_label="running")


#: Where requests' time goes.
ACCOUNT: tuple[Heading, ...] = (
    (("decode_own",), "#0072b2", "", "tokens: own work"),
    (("decode_fixed",), "#56b4e9", "", "tokens: fixed time of batches"),
    (("decode_tokens",), "#56b4e9", "//", "tokens: token jobs of others"),
    (("decode_prompts",), "#56b4e9", "..", "tokens: prompts of others"),
    (("prefill",), "#009e73", "", "own prompt"),
    (("paused",), "#e69f00", "", "paused"),
    (("preempted", "recompute"), "#d55e00", "//", "preempted, read again"),
    (("waiting_kv",), "#d55e00", "", "waiting: KV is full"),
    (("waiting_seats",), "#cc79a7", "", "waiting: seats"),
    (("waiting_tokens",), "#9aa1a9", "//", "waiting: token budget"),
    (("waiting_turn",), "#9aa1a9", "", "waiting: its turn"),
    (("arriving", "idle"), "#9aa1a9", "..", "batch in progress, idle"),
)
