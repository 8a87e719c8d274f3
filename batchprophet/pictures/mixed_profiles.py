"""What pictures of mixed batching show over time: KV occupancy and counts, exact or in bins."""

from __future__ import annotations

import numpy as np

from ..models.instance import FloatArray, Instance, IntArray
from ..models.mixed.feasibility import kv_profile
from ..models.mixed.schedule import MixedSchedule
from .bins import bin_edges, mean_count


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
