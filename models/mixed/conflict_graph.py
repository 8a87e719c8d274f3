"""Networks of the mixed regime, in networkx: which starts exclude each other."""

from __future__ import annotations

from itertools import combinations

import networkx as nx

from ..errors import InputError
from ..instance import Instance, IntArray
from .milp.offered_starts import offered_starts
from .problem import limits

#: A start of a request: (i, k), request i started at round boundary k.
Start = tuple[int, int]

#: Larger conflict graphs are refused: nearly every pair may be an edge, each of some 300 bytes.
MOST_STARTS = 1_000


def conflict_graph(instance: Instance, latest: IntArray) -> nx.Graph[Start]:
    """Return the graph whose edges join starts that no schedule contains together.

    The nodes are the binaries x_{i,k} of the MILP. Two starts of one request exclude each other.
    Starts (i, k) and (j, l) of two requests do if their runs overlap and at the earlier completion
    ``t = min(k + o_i, l + o_j)``, when they hold most, ``(s_i + t − k) + (s_j + t − l) > M``; or if
    a limit keeps both out of the round after the later start, B = 1 or their tokens there over C
    (s for the prompt job of each that starts then, 1 for a token job). So every feasible schedule
    is a stable set of n nodes; not conversely, since three runs may exceed M where no two do.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    latest : ndarray of int64, shape (n,)
        L_i: starts from a_i to L_i are offered, at most `MOST_STARTS` in all.

    Returns
    -------
    Graph
        Nodes (i, k).

    Raises
    ------
    InputError
        If there are more starts, or as in `offered_starts`.

    Examples
    --------
    >>> import numpy as np
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> graph = conflict_graph(instance, np.array([1, 3]))
    >>> sorted(graph.edges)  # completing together they would hold 7 + 3 tokens
    [((0, 0), (0, 1)), ((0, 0), (1, 2)), ((0, 1), (1, 3)), ((1, 2), (1, 3))]
    """
    starts = offered_starts(instance, latest)
    if starts.count > MOST_STARTS:
        raise InputError(
            f"conflict graph: expected at most {MOST_STARTS} starts (request, round), found "
            f"{starts.count} in {instance.name!r}; it is meant for small instances"
        )
    windows = zip(instance.arrival.tolist(), latest.tolist(), strict=True)
    nodes = [(i, k) for i, (a, L) in enumerate(windows) for k in range(a, L + 1)]
    graph: nx.Graph[Start] = nx.Graph()
    graph.add_nodes_from(nodes)
    s, o, M = instance.prompt.tolist(), instance.output.tolist(), instance.gpu.kv_capacity
    B, C = limits(instance)

    def exclude_each_other(one: Start, other: Start) -> bool:
        (i, k), (j, l) = one, other  # noqa: E741 - the start l of request j, as in the docstring
        t, later = min(k + o[i], l + o[j]), max(k, l)
        if i == j or later >= t:
            return i == j
        tokens = (s[i] if k == later else 1) + (s[j] if l == later else 1)
        return (s[i] + t - k) + (s[j] + t - l) > M or B < 2 or tokens > C

    graph.add_edges_from(pair for pair in combinations(nodes, 2) if exclude_each_other(*pair))
    return graph
