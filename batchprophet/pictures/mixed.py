"""What pictures draw of a schedule of mixed batching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import axes, palette
from .axes import MOST_BINS
from .mixed_profiles import counts, kv_envelope
from .shapes import Wedge, bars, envelope, wedges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..models.instance import Instance, IntArray
    from ..models.mixed.schedule import MixedSchedule

#: Up to here every run is a wedge of its own in the KV picture; beyond, the total is drawn.
MOST_WEDGES = 60


def starts(instance: Instance, schedule: MixedSchedule) -> IntArray:
    """Return when each request is served at last, shape (n,): its final start."""
    return schedule.start


def draw_rows(
    ax: Axes, instance: Instance, schedule: MixedSchedule, order: IntArray, *, separate: bool
) -> None:
    """Draw one row per request: waiting, its prompt round and token rounds, evicted runs."""
    row = np.empty(instance.n)
    row[order] = np.arange(instance.n)
    start, completion = schedule.start, schedule.completion(instance)
    height, thin, alpha = (0.8, 0.12, 1.0) if separate else (1.0, 1.0, 0.35)
    grey = {"color": palette.WAITING, "alpha": alpha, "label": "waiting"}
    bars(ax, instance.arrival, start, row, thin, **grey)
    runs = schedule.evicted
    if runs:
        owner = np.array([run.request for run in runs])
        begin, end = np.array([(run.start, run.end) for run in runs]).T
        style = {"facecolor": "none", "edgecolor": palette.LOST, "hatch": "/////"}
        bars(ax, begin, end, row[owner], height, label="evicted", linewidth=0.6, **style)
    bars(ax, start, completion, row, height, color=palette.TOKENS, label="token rounds")
    # An edge keeps a round that is narrower than a pixel visible.
    edge = {"linewidth": 0.8 if separate else 0.0, "label": "prompt round"}
    bars(ax, start, start + 1, row, height, color=palette.PROMPT, **edge)


def draw_counts(ax: Axes, instance: Instance, schedule: MixedSchedule) -> None:
    """Draw waiting requests as an area and running ones as a line."""
    axes.draw_counts(ax, instance, *counts(instance, schedule, bins=MOST_BINS))


def has_wedges(instance: Instance, schedule: MixedSchedule) -> bool:
    """Whether every run is a wedge of its own in the KV picture."""
    span = int(schedule.completion(instance).max()) - int(instance.arrival.min())
    return instance.n + len(schedule.evicted) <= MOST_WEDGES and span <= MOST_BINS


def draw_kv(ax: Axes, instance: Instance, schedule: MixedSchedule) -> list[Wedge]:
    """Draw the KV tokens held: a wedge per run if there are few, else the total.

    Returns the wedges, which may be given the ids of their requests.
    """
    if has_wedges(instance, schedule):
        drawn = stacked(instance, schedule)
        wedges(ax, drawn)
        return drawn
    envelope(ax, *kv_envelope(instance, schedule, bins=MOST_BINS))
    return []


def stacked(instance: Instance, schedule: MixedSchedule) -> list[Wedge]:
    """Stack the runs by start: round r spans the time from r − 1 to r."""
    final = zip(schedule.start.tolist(), schedule.completion(instance).tolist(), strict=True)
    runs = [(k, end, i, False) for i, (k, end) in enumerate(final)]
    runs += [(run.start, run.end, run.request, True) for run in schedule.evicted]
    origin = min(k for k, _, _, _ in runs)
    held = np.zeros(max(end for _, end, _, _ in runs) - origin, dtype=np.int64)
    drawn = []
    for k, end, i, lost in sorted(runs):
        rounds = slice(k - origin, end - origin)
        below = held[rounds].copy()
        held[rounds] += int(instance.prompt[i]) + np.arange(1, end - k + 1)
        drawn.append(Wedge(i, np.arange(k, end + 1), below, held[rounds].copy(), lost))
    return drawn
