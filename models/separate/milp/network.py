"""The time-expanded network of the GPU, in networkx: what it may do, and when.

The GPU walks one unit of flow from the first arrival to the end of the horizon, over arcs

- *prompt* (t → t + τ_P) and *token* (t → t + τ_D): a batch that starts at t,
- *idle* (t → the next arrival), and after the last arrival *rest* (t → end).

Only times at which a left-shifted schedule (`horizon`) may start or end a batch are nodes: an
arrival, or the end of a batch that starts at a node. So waiting always ends at an arrival, and a
law with long batches has few nodes however long the horizon is. With constraints that a
left-shifted schedule may violate, batches may start at any time: then every time is a node, and an
idle arc takes one.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from dataclasses import dataclass

import networkx as nx
import numpy as np

from ...batch_time import AffineTime
from ...completion_goal import servable
from ...durations import batch_durations
from ...errors import InputError
from ...instance import Instance, IntArray
from ..problem import times_alone


@dataclass(frozen=True, slots=True)
class Windows:
    """When the jobs of each request may start: all bounds inclusive, arrays of shape (n,).

    Attributes
    ----------
    first_prompt, last_prompt : ndarray of int64
        ``a_i ≤ t ≤ C_i − (τ_P + (o_i − 1)·τ_D)`` with C_i the latest completion; empty for a
        request that cannot earn its reward.
    first_token, last_token : ndarray of int64
        ``a_i + τ_P ≤ t ≤ C_i − τ_D``; empty where o_i = 1 or the prompt's window is empty.
    earliest, latest : ndarray of int64
        Of the completion: ``a_i + τ_P + (o_i − 1)·τ_D`` and C_i.
    servable : tuple of int
        Requests that can complete in their window.
    prompt_time, token_time : int
        τ_P and τ_D.
    """

    first_prompt: IntArray
    last_prompt: IntArray
    first_token: IntArray
    last_token: IntArray
    earliest: IntArray
    latest: IntArray
    servable: tuple[int, ...]
    prompt_time: int
    token_time: int


def job_windows(instance: Instance, latest: IntArray) -> Windows:
    """Return when the jobs of each request may start, for the unit and the constant law.

    Parameters
    ----------
    instance : Instance
        The instance.
    latest : ndarray of int64, shape (n,)
        Latest completions of `horizon.latest_completions`.

    Raises
    ------
    InputError
        If batch times depend on the composition, or as in `completion_goal.servable`.
    """
    if isinstance(instance.gpu.batch_time, AffineTime):
        raise InputError(
            "gpu.batch_time: the time-expanded formulations take the unit and the constant law, "
            f"found the affine law in {instance.name!r}; use the batch-sequence formulation"
        )
    alone = np.array(times_alone(instance), dtype=np.int64)
    can_complete = servable(instance, latest, alone)
    law = batch_durations(instance)
    possible = np.isin(np.arange(instance.n), can_complete)
    has_tokens = possible & (instance.output > 1)
    return Windows(
        first_prompt=instance.arrival,
        last_prompt=np.where(possible, latest - alone, -1),
        first_token=instance.arrival + law.prompt,
        last_token=np.where(has_tokens, latest - law.token, -1),
        earliest=instance.arrival + alone,
        latest=latest,
        servable=tuple(can_complete),
        prompt_time=law.prompt,
        token_time=law.token,
    )


def gpu_network(
    instance: Instance, windows: Windows, *, any_start: bool = False
) -> nx.MultiDiGraph[int]:
    """Return the GPU's network: a path from the first arrival to the end is a row of batches.

    Parameters
    ----------
    instance : Instance
        The instance, under the unit or the constant law.
    windows : Windows
        Of `job_windows`; a batch arc is there only where some job may start.
    any_start : bool
        Whether the GPU may wait for any time, not only for an arrival.

    Returns
    -------
    MultiDiGraph
        Nodes are times, each with an attribute ``arrivals`` (requests that arrive then); the key of
        an arc is its kind: ``"prompt"``, ``"token"``, ``"idle"`` or ``"rest"``. The graph has
        attributes ``source`` and ``sink``.

    Examples
    --------
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=2))
    >>> instance = Instance(gpu=gpu, arrival=[0, 4], prompt=[3, 1], output=[2, 1])
    >>> graph = gpu_network(instance, job_windows(instance, np.array([7, 8])))
    >>> sorted(graph.edges(keys=True))  # doctest: +NORMALIZE_WHITESPACE
    [(0, 3, 'prompt'), (0, 4, 'idle'), (3, 4, 'idle'), (3, 5, 'token'), (4, 6, 'token'),
     (4, 7, 'prompt'), (4, 8, 'rest'), (5, 7, 'token'), (5, 8, 'prompt'), (5, 8, 'rest'),
     (6, 8, 'rest'), (7, 8, 'rest')]
    """
    arriving: dict[int, list[int]] = {}
    for i in windows.servable:
        arriving.setdefault(int(instance.arrival[i]), []).append(i)
    arrivals = sorted(arriving)
    source, sink = arrivals[0], int(windows.latest[list(windows.servable)].max())
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph(source=source, sink=sink)
    times = [source]
    while times:
        t = heapq.heappop(times)
        if t in graph and graph.out_degree(t):
            continue
        for end, kind in _arcs(t, windows, arrivals, sink, any_start):
            graph.add_edge(t, end, key=kind)
            if end < sink:
                heapq.heappush(times, end)
    for t in graph:
        graph.nodes[t]["arrivals"] = arriving.get(t, [])
    return graph


def _arcs(
    t: int, windows: Windows, arrivals: list[int], sink: int, any_start: bool
) -> list[tuple[int, str]]:
    """(end, kind) of the arcs that leave time t."""
    arcs = []
    if ((windows.first_prompt <= t) & (t <= windows.last_prompt)).any():
        arcs.append((t + windows.prompt_time, "prompt"))
    if ((windows.first_token <= t) & (t <= windows.last_token)).any():
        arcs.append((t + windows.token_time, "token"))
    later = bisect_right(arrivals, t)
    if later == len(arrivals):
        arcs.append((sink, "rest"))
    elif not any_start:
        arcs.append((arrivals[later], "idle"))
    if any_start:
        arcs.append((t + 1, "idle"))
    return arcs
