"""What pictures show over time: KV occupancy and counts, exact or summarised in bins."""

from __future__ import annotations

import numpy as np

from ..models.instance import FloatArray, Instance, IntArray
from ..models.mixed.feasibility import kv_profile
from ..models.mixed.schedule import MixedSchedule
from ..models.regimes import Schedule
from ..models.separate.timeline import timeline


def starts(instance: Instance, schedule: Schedule) -> IntArray:
    """When each request is served at last, shape (n,): its final start, or its prompt batch's.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> starts(instance, MixedSchedule([0, 4])).tolist()
    [0, 4]
    """
    if isinstance(schedule, MixedSchedule):
        return schedule.start
    return timeline(instance, schedule).prompt_start


def kv_envelope(
    instance: Instance, schedule: MixedSchedule, *, bins: int = 1500
) -> tuple[IntArray, IntArray, IntArray]:
    """Least and most KV tokens held in each bin of rounds.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule
        A schedule of it.
    bins : int
        Most bins to use; with at most this many rounds, each round is a bin of its own.

    Returns
    -------
    edges : ndarray of int64, shape (b + 1,)
        Bin j holds the rounds of ``(edges[j], edges[j+1]]``.
    low, high : ndarray of int64, shape (b,)
        Fewest and most tokens held in a round of each bin, exactly.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [part.tolist() for part in kv_envelope(instance, MixedSchedule([0, 4]), bins=3)]
    [[0, 2, 4, 6], [4, 6, 2], [5, 7, 3]]
    """
    boundary, alive, offset = kv_profile(instance, schedule)
    edges = bin_edges(int(boundary[0]), int(boundary[-1]), bins)
    # Between boundaries the occupancy grows, so that its extremes in a bin stand at the first and
    # last rounds of the bin and of the pieces that it meets.
    ends = np.concatenate([boundary[:-1] + 1, boundary[1:], edges[:-1] + 1, edges[1:]])
    rounds = np.unique(np.minimum(ends, boundary[-1]))
    piece = np.searchsorted(boundary, rounds, side="left") - 1
    held = alive[piece] * rounds + offset[piece]
    where = np.searchsorted(edges, rounds, side="left") - 1
    low = np.full(edges.size - 1, np.iinfo(np.int64).max)
    high = np.zeros(edges.size - 1, dtype=np.int64)
    np.minimum.at(low, where, held)
    np.maximum.at(high, where, held)
    return edges, low, high


def counts(
    instance: Instance, schedule: MixedSchedule, *, bins: int = 1500
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Mean number of running and of waiting requests in each bin of rounds.

    Returns
    -------
    edges : ndarray of int64, shape (b + 1,)
        Bin j is the time from ``edges[j]`` to ``edges[j+1]``.
    running, waiting : ndarray of float64, shape (b,)
        Time averages; an evicted request waits again.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [part.tolist() for part in counts(instance, MixedSchedule([0, 4]), bins=3)]
    [[0, 2, 4, 6], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]
    """
    completion = schedule.completion(instance)
    edges = bin_edges(int(instance.arrival.min()), int(completion.max()), bins)
    lost = np.array([(run.start, run.end) for run in schedule.evicted], dtype=np.int64)
    lost = lost.reshape(-1, 2)
    begun = np.concatenate([schedule.start, lost[:, 0]])
    ended = np.concatenate([completion, lost[:, 1]])
    running = mean_count(edges, begun, ended)
    present = mean_count(edges, instance.arrival, completion)
    return edges, running, np.maximum(present - running, 0.0)


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
