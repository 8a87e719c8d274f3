"""Times in bins of equal width, for pictures of long schedules."""

from __future__ import annotations

import numpy as np

from ..models.instance import FloatArray, IntArray


def bin_edges(first: int, last: int, bins: int) -> IntArray:
    """Split the rounds of ``(first, last]`` into at most `bins` bins of equal whole width."""
    width = max(1, -(-(last - first) // bins))
    return np.append(np.arange(first, last, width), last).astype(np.int64)


def mean_count(edges: IntArray, begin: IntArray, end: IntArray) -> FloatArray:
    """Mean of ``#{i : begin_i ≤ t < end_i}`` over each bin: time spent in it over its width."""
    spent = _time_since(edges, begin) - _time_since(edges, end)
    mean: FloatArray = np.diff(spent) / np.diff(edges)
    return mean


def _time_since(times: IntArray, events: IntArray) -> FloatArray:
    """Σ_i max(0, t − event_i) at each of `times`."""
    ordered = np.sort(events)
    passed = np.searchsorted(ordered, times, side="right")
    summed = np.concatenate([[0], np.cumsum(ordered)])
    since: FloatArray = (passed * times - summed[passed]).astype(np.float64)
    return since
