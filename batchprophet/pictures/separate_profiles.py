"""What pictures of separate batching show over time: KV occupancy, modes of the GPU, service."""

from __future__ import annotations

import numpy as np

from ..models.instance import FloatArray, IntArray
from ..models.separate.timeline import Timeline
from .bins import bin_edges


def kv_steps(time: Timeline) -> tuple[IntArray, IntArray]:
    """KV tokens held as a step function: during each batch, and between batches.

    Returns
    -------
    edges : ndarray of int64, shape (k + 1,)
        From the start of the first batch to the end of the last one, increasing.
    held : ndarray of int64, shape (k,)
        Tokens held from ``edges[j]`` to ``edges[j + 1]``.
    """
    edges = np.column_stack([time.start, time.end]).ravel()
    held = np.column_stack([time.held, time.kept]).ravel()[:-1]
    lasting = np.diff(edges) > 0
    return np.append(edges[:-1][lasting], edges[-1]), held[lasting]


def kv_bins(time: Timeline, bins: int) -> tuple[IntArray, IntArray, IntArray]:
    """Least and most KV tokens held in each of at most `bins` bins of time, exactly."""
    steps, held = kv_steps(time)
    edges = bin_edges(int(steps[0]), int(steps[-1]), bins)
    moments = np.unique(np.concatenate([steps[:-1], edges[:-1]]))
    values = held[np.searchsorted(steps, moments, side="right") - 1]
    where = np.searchsorted(edges, moments, side="right") - 1
    low = np.full(edges.size - 1, np.iinfo(np.int64).max)
    high = np.zeros(edges.size - 1, dtype=np.int64)
    np.minimum.at(low, where, values)
    np.maximum.at(high, where, values)
    return edges, low, high


def mode_shares(time: Timeline, edges: IntArray) -> tuple[FloatArray, FloatArray]:
    """Shares of the time between edges that prompt batches and token batches take."""
    prompts = _busy(time.start[time.prompt], time.end[time.prompt], edges)
    tokens = _busy(time.start[~time.prompt], time.end[~time.prompt], edges)
    return prompts / np.diff(edges), tokens / np.diff(edges)


def _busy(start: IntArray, end: IntArray, edges: IntArray) -> IntArray:
    """Time of the batches ``[start, end)``, which do not overlap, between edges."""
    if not start.size:
        return np.zeros(edges.size - 1, dtype=np.int64)
    lasted = np.concatenate([[0], np.cumsum(end - start)])
    begun = np.searchsorted(start, edges, side="right")
    running = np.where(begun > 0, np.maximum(0, end[begun - 1] - edges), 0)
    busy: IntArray = np.diff(lasted[begun] - running)
    return busy


def service(time: Timeline, *, prompt: bool) -> tuple[IntArray, IntArray, IntArray]:
    """Spans in which requests are served by batches of one kind, one right after another.

    Returns
    -------
    request, begin, end : ndarray of int64, shape (spans,)
        Whose span, and from when to when.
    """
    jobs = np.flatnonzero(time.prompt[time.batch] == prompt)
    jobs = jobs[np.argsort(time.member[jobs], kind="stable")]
    request, batch = time.member[jobs], time.batch[jobs]
    begin, end = time.start[batch], time.end[batch]
    new = np.ones(jobs.size, dtype=bool)
    new[1:] = (request[1:] != request[:-1]) | (begin[1:] != end[:-1])
    last = np.append(new[1:], True)[: jobs.size]
    return request[new], begin[new], end[last]
