"""Pictures of integer programs: fractional starts, conflicts, paths of the GPU, closing gaps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from . import palette
from .axes import given_or_new
from .palette import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A start of a request: its number, and the round boundary.
Start = tuple[int, int]

#: Kinds of arcs of the GPU's network: colour, how much they bend, and what they are.
ARCS = {
    "prompt": (palette.PROMPT, -0.45, "prompt batch"),
    "token": (palette.TOKENS, 0.6, "token batch"),
    "idle": (palette.WAITING, -0.2, "waiting"),
    "rest": (palette.WAITING, -0.2, ""),
}


def fractional_starts(
    values: Mapping[Start, float], *, name: str = "", ax: Axes | None = None
) -> Figure:
    """Draw a solution of the relaxation: a dot for each start, as large as its share.

    Parameters
    ----------
    values : mapping of (int, int) to float
        Shares in [0, 1] by request and start; those of next to nothing are left out.
    name : str
        Above the axes.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        The picture, each request in its colour.

    Examples
    --------
    >>> figure = fractional_starts({(0, 1): 0.5, (0, 2): 0.5, (1, 0): 1.0, (1, 1): 0.0})
    >>> len(figure.axes[0].collections[0].get_offsets())
    3
    """
    ax = given_or_new(ax, height=2.6)
    shown = {start: share for start, share in values.items() if share > 1e-6}
    ax.scatter(
        [k for _, k in shown],
        [i for i, _ in shown],
        s=[125 * share for share in shown.values()],
        c=[palette.of_request(i) for i, _ in shown],
        edgecolors=palette.INK,
        linewidths=0.4,
    )
    requests = sorted({i for i, _ in shown})
    ax.set_yticks(requests)
    ax.set_ylim(requests[-1] + 0.6, requests[0] - 0.6)
    palette.dress(ax, x_label="start t (area of the dot: x)", y_label="request")
    if name:
        palette.title(ax, name)
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def conflicts(graph: Any, values: Mapping[Start, float], clique: Collection[Start] = ()) -> Picture:
    """Draw a conflict graph: starts that exclude each other are joined.

    Parameters
    ----------
    graph : networkx.Graph
        Its nodes are starts (request, time).
    values : mapping of (int, int) to float
        Share of each start in a solution of the relaxation: the size of its dot.
    clique : collection of (int, int)
        Starts that are dark, with the edges among them.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> graph = nx.complete_graph([(0, 0), (0, 1), (1, 0)])
    >>> figure = conflicts(graph, dict.fromkeys(graph, 0.5), [(0, 0), (0, 1)])
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['request 0', 'request 1']
    """
    figure = palette.picture(7.2, 2.8)
    ax = figure.add_subplot()
    place = {(i, k): (k, -i) for i, k in graph}
    chosen = set(clique)
    colours = [palette.PROMPT if start in chosen else palette.WAITING for start in graph]
    inside = [edge for edge in graph.edges if set(edge) <= chosen]
    grey: dict[str, Any] = {"edge_color": palette.WAITING, "width": 0.4, "alpha": 0.5}
    nx.draw_networkx_edges(graph, place, ax=ax, **grey)
    nx.draw_networkx_edges(
        graph, place, edgelist=inside, ax=ax, edge_color=palette.PROMPT, width=1.6, arrows=True,
        connectionstyle="arc3,rad=0.2",
    )  # fmt: skip
    nx.draw_networkx_nodes(
        graph, place, ax=ax, node_color=colours,
        node_size=[60 + 500 * values[start] for start in graph],
    )  # fmt: skip
    ax.tick_params(bottom=True, labelbottom=True, left=True, labelleft=True)
    requests = sorted({i for i, _ in graph})
    ax.set_yticks([-i for i in requests], [f"request {i}" for i in requests])
    palette.dress(ax, x_label="start k (size of the dot: x)", y_label="")
    return figure


def gpu_paths(
    graph: Any, path: Collection[tuple[int, str]] = (), *, last: int | None = None
) -> Picture:
    """Draw the GPU's network as a time line: prompt arcs above, token arcs below.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        Nodes are times; the key of an arc is its kind: prompt, token, idle or rest.
    path : collection of (int, str)
        Arcs of a schedule, by where they begin and their kind: in full colour, the others pale.
    last : int, optional
        The last time to show; all by default.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> graph = nx.MultiDiGraph([(0, 3, "prompt"), (3, 4, "token")])
    >>> len(gpu_paths(graph, {(0, "prompt")}).axes[0].texts)
    3
    """
    last = max(graph) if last is None else last
    figure = palette.picture(9.0, 2.2)
    ax = figure.add_subplot()
    part: Any = nx.MultiDiGraph((t, e, k) for t, e, k in graph.edges(keys=True) if e <= last)
    place = {t: (t, 0) for t in part}
    for kind, (colour, bend, label) in ARCS.items():
        for chosen in (False, True):
            arcs = [
                (t, e)
                for t, e, k in part.edges(keys=True)
                if k == kind and ((t, k) in path) == chosen
            ]
            nx.draw_networkx_edges(
                nx.DiGraph(arcs), place, ax=ax, edgelist=arcs, edge_color=colour,
                width=3.0 if chosen else 0.8, alpha=1.0 if chosen or not path else 0.3,
                connectionstyle=f"arc3,rad={bend}", node_size=220,
            )  # fmt: skip
        if label:
            ax.plot([], [], color=colour, label=label)
    nodes: dict[str, Any] = {"node_color": "white", "edgecolors": palette.INK, "node_size": 220}
    nx.draw_networkx_nodes(part, place, ax=ax, **nodes)
    nx.draw_networkx_labels(part, place, ax=ax, font_size=9, font_color="#000000")
    ax.set_xlim(-0.6, last + 0.6)
    ax.set_ylim(-0.5, 0.9)
    ax.axis("off")
    palette.legend(ax)
    return figure


def closing_gap(rows: Sequence[tuple[int, float, float]]) -> Picture:
    """Draw how bound and best known value close in over the nodes of a branch and bound.

    Parameters
    ----------
    rows : sequence of (int, float, float)
        Nodes so far, proved bound and best known value, in order.

    Returns
    -------
    Picture
        The picture; the grey band is what is not known of the optimum.

    Examples
    --------
    >>> [line.get_label() for line in closing_gap([(1, 2, 9), (5, 4, 4)]).axes[0].lines]
    ['best known', 'proved bound']
    """
    nodes, low, high = np.array(rows, dtype=np.float64).T
    figure = palette.picture(7.2, 2.8)
    ax = figure.add_subplot()
    grey: dict[str, Any] = {"color": palette.WAITING, "alpha": 0.35, "linewidth": 0}
    ax.fill_between(nodes, low, high, step="post", **grey)
    ax.step(nodes, high, color=palette.LOST, label="best known", where="post")
    ax.step(nodes, low, color=palette.PROMPT, label="proved bound", where="post")
    palette.dress(ax, x_label="nodes (LPs solved)", y_label="total latency")
    palette.legend(ax)
    return figure
