"""What pictures of separate batching show over time: modes of the GPU, service."""

from __future__ import annotations

import numpy as np

from ..models.instance import FloatArray, IntArray
from ..models.separate.timeline import Timeline
from .kv_profiles import busy_time


def mode_shares(time: Timeline, edges: IntArray) -> tuple[FloatArray, FloatArray]:
    """Shares of the time between edges that prompt batches and token batches take."""
    prompts = busy_time(time.start[time.prompt], time.end[time.prompt], edges)
    tokens = busy_time(time.start[~time.prompt], time.end[~time.prompt], edges)
    return prompts / np.diff(edges), tokens / np.diff(edges)


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
