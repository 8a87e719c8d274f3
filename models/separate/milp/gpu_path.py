"""The GPU's walk through its network, in Pyomo: one unit of flow, a batch at a time."""

from __future__ import annotations

import networkx as nx
import pyomo.environ as pyo

from ...linear import linear
from .network import Windows


def add_gpu_path(model: pyo.ConcreteModel, graph: nx.MultiDiGraph[int], windows: Windows) -> None:
    """Add the walk: ``u_t``, ``v_t``, ``w_t`` = 1 iff the GPU leaves t on that arc.

    The sets are NODES (times), PROMPTS and TOKENS (times at which a batch of the kind may start)
    and WAITS (times with an idle or rest arc). Where batches may start at any time, rest arcs are
    apart: ``r_t`` over RESTS.
    """
    kinds: dict[str, list[int]] = {"prompt": [], "token": [], "idle": [], "rest": []}
    model.wait_ends = {}
    waits = ("idle",) if model.any_start else ("idle", "rest")
    for t, end, kind in graph.edges(keys=True):
        kinds[kind].append(t)
        if kind in waits:
            model.wait_ends[t] = end
    model.NODES = pyo.Set(initialize=sorted(graph), doc="times t")
    model.PROMPTS = pyo.Set(initialize=sorted(kinds["prompt"]), doc="starts of prompt batches")
    model.TOKENS = pyo.Set(initialize=sorted(kinds["token"]), doc="starts of token batches")
    model.WAITS = pyo.Set(initialize=sorted(model.wait_ends), doc="times at which the GPU may wait")
    model.tau_P, model.tau_D = windows.prompt_time, windows.token_time
    model.u = pyo.Var(model.PROMPTS, domain=pyo.Binary, doc="u_t: a prompt batch starts at t")
    model.v = pyo.Var(model.TOKENS, domain=pyo.Binary, doc="v_t: a token batch starts at t")
    model.w = pyo.Var(model.WAITS, bounds=(0, 1), doc="w_t: the GPU waits from t")
    if model.any_start:
        model.RESTS = pyo.Set(initialize=sorted(kinds["rest"]), doc="times after the last arrival")
        model.r = pyo.Var(model.RESTS, bounds=(0, 1), doc="r_t: the GPU is done at t")
    _add_conservation(model, graph)


def _add_conservation(model: pyo.ConcreteModel, graph: nx.MultiDiGraph[int]) -> None:
    """Flow: what leaves t is what enters it, ``Σ out − Σ in = 1`` at the source, −1 at the sink."""
    source, sink = graph.graph["source"], graph.graph["sink"]

    def conservation(model: pyo.ConcreteModel, t: int) -> object:
        out = [(1, _flow(model, arc[0], arc[2])) for arc in graph.out_edges(t, keys=True)]
        into = [(-1, _flow(model, arc[0], arc[2])) for arc in graph.in_edges(t, keys=True)]
        return linear([*out, *into]) == (t == source) - (t == sink)

    model.conservation = pyo.Constraint(model.NODES, rule=conservation, doc="flow at each time")


def _flow(model: pyo.ConcreteModel, t: int, kind: str) -> object:
    arcs = {"prompt": model.u, "token": model.v}
    if model.any_start:
        arcs["rest"] = model.r
    return arcs.get(kind, model.w)[t]


def batches_ending(model: pyo.ConcreteModel, t: int) -> list[object]:
    """Variables of the batches that end at t."""
    prompt = [model.u[t - model.tau_P]] if t - model.tau_P in model.PROMPTS else []
    token = [model.v[t - model.tau_D]] if t - model.tau_D in model.TOKENS else []
    return prompt + token


def makespan(model: pyo.ConcreteModel, graph: nx.MultiDiGraph[int]) -> object:
    """Makespan, ``end − Σ_t (end − t)·w_t`` over the rest arcs: when the GPU's last batch ends.

    At least the last completion, and equal to it in a schedule without useless batches.
    """
    end = graph.graph["sink"]
    rests = [t for t, _, kind in graph.edges(keys=True) if kind == "rest"]
    return linear([(t - end, _flow(model, t, "rest")) for t in rests], end)
