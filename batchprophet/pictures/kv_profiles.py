"""What pictures of batches show over time: KV tokens held, and how much of it batches take."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..models.instance import IntArray
from .bins import bin_edges


class KvProfile(Protocol):
    """Batches over time: their starts and ends, and KV tokens held during and after each."""

    @property
    def start(self) -> IntArray:
        """Starts, shape (b,)."""

    @property
    def end(self) -> IntArray:
        """Ends, shape (b,)."""

    @property
    def held(self) -> IntArray:
        """KV tokens held during each, shape (b,)."""

    @property
    def kept(self) -> IntArray:
        """KV tokens held after each, shape (b,)."""


def kv_steps(time: KvProfile) -> tuple[IntArray, IntArray]:
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


def kv_bins(time: KvProfile, bins: int) -> tuple[IntArray, IntArray, IntArray]:
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


def busy_time(start: IntArray, end: IntArray, edges: IntArray) -> IntArray:
    """Time of the batches ``[start, end)``, which do not overlap, between edges."""
    if not start.size:
        return np.zeros(edges.size - 1, dtype=np.int64)
    lasted = np.concatenate([[0], np.cumsum(end - start)])
    begun = np.searchsorted(start, edges, side="right")
    running = np.where(begun > 0, np.maximum(0, end[begun - 1] - edges), 0)
    busy: IntArray = np.diff(lasted[begun] - running)
    return busy
