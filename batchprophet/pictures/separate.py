"""Pictures of a schedule of separate batching: what the GPU does, serves and holds.

Every function draws into the axes that it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..models.separate.timeline import timeline
from . import axes, palette
from .account import Heading
from .axes import MOST_BINS
from .bins import bin_edges, mean_count
from .kv_profiles import kv_bins, kv_steps
from .separate_profiles import mode_shares, service
from .shapes import Wedge, bars, envelope, wedges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..models.instance import Instance, IntArray
    from ..models.separate.schedule import SeparateSchedule
    from ..models.separate.timeline import Timeline

#: Up to here every batch is a bar of its own; beyond, shares of time are shown.
MOST_BATCHES = 300
#: Up to here every request is a wedge of its own in the KV picture; beyond, the total is drawn.
MOST_WEDGES = 60


def starts(instance: Instance, schedule: SeparateSchedule) -> IntArray:
    """Return when each request is served first, shape (n,): the start of its prompt batch."""
    return timeline(instance, schedule).prompt_start


def draw_modes(ax: Axes, instance: Instance, schedule: SeparateSchedule) -> None:
    """Draw the mode of the GPU over time: each batch, as high as it has requests.

    Beyond `MOST_BATCHES` batches: the shares of time that prompt batches, token batches and
    idleness take.
    """
    time = timeline(instance, schedule)
    if time.start.size <= MOST_BATCHES:
        for kind, colour, label in (
            (time.prompt, palette.PROMPT, "prompt batch"),
            (~time.prompt, palette.TOKENS, "token batch"),
        ):
            size = time.size[kind]
            edge = {"linewidth": 0.3, "edgecolor": palette.INK, "facecolor": colour}
            bars(ax, time.start[kind], time.end[kind], size / 2, size, label=label, **edge)
        ax.set_ylim(0, int(time.size.max()) * 1.05)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        palette.dress(ax, x_label="", y_label="batch size")
        return
    edges = bin_edges(int(time.start[0]), int(time.end[-1]), MOST_BINS)
    prompts, tokens = mode_shares(time, edges)
    ax.stairs(prompts, edges, fill=True, color=palette.PROMPT, label="prompt batches")
    ax.stairs(
        prompts + tokens, edges, baseline=prompts, fill=True, color=palette.TOKENS,
        label="token batches",
    )  # fmt: skip
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter("{x:.0%}")
    palette.dress(ax, x_label="", y_label="share of time")


def draw_rows(
    ax: Axes, instance: Instance, schedule: SeparateSchedule, order: IntArray, *, separate: bool
) -> None:
    """Draw one row per request: waiting, prompt batch, token batches, and pauses between them."""
    time = timeline(instance, schedule)
    row = np.empty(instance.n)
    row[order] = np.arange(instance.n)
    height, thin, alpha = (0.8, 0.12, 1.0) if separate else (1.0, 1.0, 0.35)
    grey = {"color": palette.WAITING, "alpha": alpha, "label": "waiting"}
    bars(ax, instance.arrival, time.prompt_start, row, thin, **grey)
    pause = 0.3 if separate else 1.0
    span = (time.prompt_end, time.completion)
    bars(ax, *span, row, pause, color=palette.PAUSED, label="paused")
    for prompt, colour, label in (
        (False, palette.TOKENS, "token batches"),
        (True, palette.PROMPT, "prompt batch"),
    ):
        request, begin, end = service(time, prompt=prompt)
        edge = {"linewidth": 0.8 if separate and prompt else 0.0}
        bars(ax, begin, end, row[request], height, color=colour, label=label, **edge)


def draw_counts(ax: Axes, instance: Instance, schedule: SeparateSchedule) -> None:
    """Draw waiting requests as an area and running ones as a line.

    Running are those that hold KV, in a batch or paused.
    """
    time = timeline(instance, schedule)
    edges = bin_edges(int(instance.arrival.min()), int(time.completion.max()), MOST_BINS)
    queued = mean_count(edges, instance.arrival, time.prompt_start)
    running = mean_count(edges, time.prompt_start, time.completion)
    axes.draw_counts(ax, instance, edges, running, queued)


def has_wedges(instance: Instance, schedule: SeparateSchedule) -> bool:
    """Whether every request is a wedge of its own in the KV picture."""
    return instance.n <= MOST_WEDGES and len(schedule.batches) <= MOST_BINS


def draw_kv(ax: Axes, instance: Instance, schedule: SeparateSchedule) -> list[Wedge]:
    """Draw the KV tokens held: a wedge per request if there are few, else the total.

    Returns the wedges, which may be given the ids of their requests.
    """
    time = timeline(instance, schedule)
    if has_wedges(instance, schedule):
        drawn = stacked(instance, time)
        wedges(ax, drawn)
        return drawn
    edges, low, high = kv_bins(time, MOST_BINS)
    if 2 * time.start.size <= MOST_BINS:
        edges, low = kv_steps(time)
        high = low
    envelope(ax, edges, low, high)
    return []


def stacked(instance: Instance, time: Timeline) -> list[Wedge]:
    """Stack the requests by their prompt batches; each holds its tokens until the next batch."""
    held = np.zeros(time.start.size, dtype=np.int64)
    edges = np.append(time.start, time.end[-1])
    # A request is held from the start of its prompt batch to the end of its last batch.
    drawn = []
    for i in np.lexsort((np.arange(instance.n), time.prompt_start)).tolist():
        own = time.batch[time.member == i]
        first, last = int(own[0]), int(own[-1])
        span = slice(first, last + 1)
        tokens = int(instance.prompt[i]) + np.cumsum(np.isin(np.arange(first, last + 1), own))
        below = held[span].copy()
        held[span] += tokens
        steps = edges[first : last + 2].copy()
        steps[-1] = time.end[last]
        drawn.append(Wedge(i, steps, below, held[span].copy()))
    return drawn


#: Where requests' time goes: field of the account, colour, hatch, label.
ACCOUNT: tuple[Heading, ...] = (
    (("prompt",), "#0072b2", "", "in a prompt batch"),
    (("token",), "#56b4e9", "", "in token batches"),
    (("paused_prompts",), "#e69f00", "", "paused: prompt batch"),
    (("paused_tokens",), "#e69f00", "//", "paused: left out"),
    (("paused_idle",), "#e69f00", "..", "paused: idle"),
    (("waiting_prompts",), "#9aa1a9", "", "waiting: prompt batch"),
    (("waiting_tokens",), "#9aa1a9", "//", "waiting: token batch"),
    (("waiting_kv",), "#d55e00", "", "waiting: KV is full"),
    (("waiting_idle",), "#9aa1a9", "..", "waiting: idle"),
)
