"""Formulation S1, request by request: requests coupled to the GPU's path (model/separate.md §2).

Jobs are counted when they *start*: with X_{i,t} and Y_{i,t} the prompt and token jobs of i that
have started by t, and z_{i,t} = 1 iff i is done by t (its last batch ends at or before t),

    Σ_i [ (s_i + 1)·X_{i,t} + Y_{i,t} − (s_i + o_i)·z_{i,t} ]

is what is held at the end of the batch that starts at t: what is in it has one token more by then,
and what completes in it still counts. So one row per possible batch is enough.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

import networkx as nx
import pyomo.environ as pyo

from ...instance import Instance
from ...linear import linear
from ...objectives import late_costs
from .gpu_path import add_gpu_path, makespan
from .network import Windows

Term = tuple[float, object]


def add_time_expanded(
    model: pyo.ConcreteModel,
    instance: Instance,
    graph: nx.MultiDiGraph[int],
    windows: Windows,
    objective: str,
) -> None:
    """Add the formulation: the table of contents of S1, disaggregated."""
    add_gpu_path(model, graph, windows)
    add_jobs(model, instance, windows)
    add_started(model)
    add_prompt_once(model, optional=objective == "reward")
    add_jobs_in_batches(model)
    add_batch_limits(model, instance)
    add_prompt_first(model)
    add_all_tokens(model, instance)
    add_done(model, instance)
    add_kv_capacity(model, instance)
    add_goal(model, instance, graph, objective)


def add_jobs(model: pyo.ConcreteModel, instance: Instance, windows: Windows) -> None:
    """Add the binaries: ``x_{i,t}`` (prompt job), ``y_{i,t}`` (token job), ``z_{i,t}`` (done by t).

    Each only in its window; a request that cannot complete in its window has none.
    """
    first_last = {
        "prompt": (windows.first_prompt.tolist(), windows.last_prompt.tolist(), model.PROMPTS),
        "token": (windows.first_token.tolist(), windows.last_token.tolist(), model.TOKENS),
    }
    model.REQUESTS = pyo.Set(initialize=windows.servable, doc="requests i that may be served")

    def starts(kind: str) -> list[tuple[int, int]]:
        first, last, times = first_last[kind]
        return [(i, t) for i in model.REQUESTS for t in times if first[i] <= t <= last[i]]

    prompts, tokens = starts("prompt"), starts("token")
    single = {i for i in model.REQUESTS if instance.output[i] == 1}
    ends = [(i, t + model.tau_P) for i, t in prompts if i in single]
    ends += [(i, t + model.tau_D) for i, t in tokens if t + model.tau_D >= windows.earliest[i]]
    model.PROMPT_JOBS = pyo.Set(
        dimen=2, initialize=prompts, doc="(i, t): i's prompt may start at t"
    )
    model.TOKEN_JOBS = pyo.Set(dimen=2, initialize=tokens, doc="(i, t): a token job of i may start")
    model.ENDS = pyo.Set(dimen=2, initialize=sorted(ends), doc="(i, t): i may complete at t")
    model.x = pyo.Var(model.PROMPT_JOBS, domain=pyo.Binary, doc="x_{i,t}: i's prompt starts at t")
    model.y = pyo.Var(model.TOKEN_JOBS, domain=pyo.Binary, doc="y_{i,t}: a token job of i starts")
    model.z = pyo.Var(model.ENDS, domain=pyo.Binary, doc="z_{i,t}: i is done by t")
    model.prompt_times = _times(model.PROMPT_JOBS)
    model.token_times = _times(model.TOKEN_JOBS)
    model.end_times = _times(model.ENDS)


def add_started(model: pyo.ConcreteModel) -> None:
    """Jobs started by t: ``X_{i,t} = X_{i,t'} + x_{i,t}`` and Y likewise, t' the time before t."""
    model.X = pyo.Var(model.PROMPT_JOBS, bounds=(0, 1), doc="X_{i,t}: prompts of i started by t")
    model.Y = pyo.Var(model.TOKEN_JOBS, bounds=(0, None), doc="Y_{i,t}: token jobs of i by t")

    def prompts(model: pyo.ConcreteModel, i: int, t: int) -> object:
        return (
            linear([(1, model.X[i, t]), (-1, model.x[i, t]), *minus(started(model, "X", i, t - 1))])
            == 0
        )

    def tokens(model: pyo.ConcreteModel, i: int, t: int) -> object:
        return (
            linear([(1, model.Y[i, t]), (-1, model.y[i, t]), *minus(started(model, "Y", i, t - 1))])
            == 0
        )

    model.prompts_started = pyo.Constraint(model.PROMPT_JOBS, rule=prompts, doc="defines X_{i,t}")
    model.tokens_started = pyo.Constraint(model.TOKEN_JOBS, rule=tokens, doc="defines Y_{i,t}")


def add_prompt_once(model: pyo.ConcreteModel, *, optional: bool) -> None:
    """Every prompt once: ``X_{i,last} = 1``; under admission (`optional`) it is 1 iff accepted."""
    if optional:
        return  # X ≤ 1 says it

    def prompt_once(model: pyo.ConcreteModel, i: int) -> object:
        return linear(served(model, i)) == 1

    model.prompt_once = pyo.Constraint(model.REQUESTS, rule=prompt_once, doc="each i is served")


def add_jobs_in_batches(model: pyo.ConcreteModel) -> None:
    """A job needs its batch: ``x_{i,t} ≤ u_t`` and ``y_{i,t} ≤ v_t``."""

    def prompt_in_batch(model: pyo.ConcreteModel, i: int, t: int) -> object:
        return linear([(1, model.x[i, t]), (-1, model.u[t])]) <= 0

    def token_in_batch(model: pyo.ConcreteModel, i: int, t: int) -> object:
        return linear([(1, model.y[i, t]), (-1, model.v[t])]) <= 0

    model.prompt_in_batch = pyo.Constraint(model.PROMPT_JOBS, rule=prompt_in_batch)
    model.token_in_batch = pyo.Constraint(model.TOKEN_JOBS, rule=token_in_batch)


def add_batch_limits(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Batch limits: ``Σ_i x_{i,t} ≤ B_P·u_t``, ``Σ_i s_i·x_{i,t} ≤ C_P·u_t``, ``Σ_i y ≤ B_D·v_t``.

    A limit that no batch can exceed has no rows.
    """
    gpu, s = instance.gpu, instance.prompt.tolist()
    prompts = _requests(model.PROMPT_JOBS)
    tokens = _requests(model.TOKEN_JOBS)

    def prompt_requests(model: pyo.ConcreteModel, t: int) -> object:
        members = prompts.get(t, [])
        return _limit([(1, model.x[i, t]) for i in members], gpu.prompt_batch_requests, model.u[t])

    def prompt_tokens(model: pyo.ConcreteModel, t: int) -> object:
        members = prompts.get(t, [])
        return _limit([(s[i], model.x[i, t]) for i in members], gpu.prompt_batch_tokens, model.u[t])

    def token_requests(model: pyo.ConcreteModel, t: int) -> object:
        members = tokens.get(t, [])
        return _limit([(1, model.y[i, t]) for i in members], gpu.token_batch_requests, model.v[t])

    model.prompt_requests = pyo.Constraint(model.PROMPTS, rule=prompt_requests, doc="B_P")
    model.prompt_tokens = pyo.Constraint(model.PROMPTS, rule=prompt_tokens, doc="C_P")
    model.token_requests = pyo.Constraint(model.TOKENS, rule=token_requests, doc="B_D")


def _limit(terms: list[Term], limit: int | None, batch: object) -> object:
    if limit is None or sum(size for size, _ in terms) <= limit:
        return pyo.Constraint.Skip
    return linear([*terms, (-limit, batch)]) <= 0


def add_prompt_first(model: pyo.ConcreteModel) -> None:
    """Token jobs after the prompt batch: ``y_{i,t} ≤ X_{i,t−τ_P}``."""

    def prompt_first(model: pyo.ConcreteModel, i: int, t: int) -> object:
        return linear([(1, model.y[i, t]), *minus(started(model, "X", i, t - model.tau_P))]) <= 0

    model.prompt_first = pyo.Constraint(model.TOKEN_JOBS, rule=prompt_first, doc="prompt first")


def add_all_tokens(model: pyo.ConcreteModel, instance: Instance) -> None:
    """All tokens of what is served: ``Y_{i,last} = (o_i − 1)·X_{i,last}``."""
    o = instance.output.tolist()

    def all_tokens(model: pyo.ConcreteModel, i: int) -> object:
        if o[i] == 1:
            return pyo.Constraint.Skip
        last = model.token_times[i][-1]
        tokens = [(1.0, model.Y[i, last])]
        return linear([*tokens, *scaled(1 - o[i], served(model, i))]) == 0

    model.all_tokens = pyo.Constraint(model.REQUESTS, rule=all_tokens, doc="o_i − 1 token jobs")


def add_done(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Completion: z needs all jobs, does not go back, and is 1 at the end for what is served.

    ``z_{i,t} ≤ X_{i,t−τ_P}``; ``(o_i − 1)·z_{i,t} ≤ Y_{i,t−τ_D}``; ``z_{i,t'} ≤ z_{i,t}`` for the
    time t' before t; ``z_{i,last} = X_{i,last}``.
    """
    o = instance.output.tolist()

    def done_prompt(model: pyo.ConcreteModel, i: int, t: int) -> object:
        return linear([(1, model.z[i, t]), *minus(started(model, "X", i, t - model.tau_P))]) <= 0

    def done_tokens(model: pyo.ConcreteModel, i: int, t: int) -> object:
        if o[i] == 1:
            return pyo.Constraint.Skip
        jobs = started(model, "Y", i, t - model.tau_D)
        return linear([(o[i] - 1, model.z[i, t]), *minus(jobs)]) <= 0

    def done_for_good(model: pyo.ConcreteModel, i: int, t: int) -> object:
        before = started(model, "z", i, t - 1)
        return linear([*before, (-1, model.z[i, t])]) <= 0 if before else pyo.Constraint.Skip

    def done_at_last(model: pyo.ConcreteModel, i: int) -> object:
        last = model.end_times[i][-1]
        return linear([(1, model.z[i, last]), *minus(served(model, i))]) == 0

    model.done_prompt = pyo.Constraint(model.ENDS, rule=done_prompt)
    model.done_tokens = pyo.Constraint(model.ENDS, rule=done_tokens)
    model.done_for_good = pyo.Constraint(model.ENDS, rule=done_for_good)
    model.done_at_last = pyo.Constraint(model.REQUESTS, rule=done_at_last)


def add_kv_capacity(model: pyo.ConcreteModel, instance: Instance) -> None:
    """KV at the end of the batch that starts at t: at most M, with what completes in it.

    ``Σ_i [(s_i + 1)·X_{i,t} + Y_{i,t} − (s_i + o_i)·z_{i,t}] ≤ M`` for all t at which a batch may
    start. While a batch runs (it started before t and ends after t) the same sum is what is held
    at its end, so the row is valid there too.
    """
    M = instance.gpu.kv_capacity
    s, peak = instance.prompt.tolist(), instance.peak.tolist()
    if sum(peak[i] for i in model.REQUESTS) <= M:
        return

    def kv_capacity(model: pyo.ConcreteModel, t: int) -> object:
        held: list[Term] = []
        for i in model.REQUESTS:
            held += scaled(s[i] + 1, started(model, "X", i, t))
            held += started(model, "Y", i, t)
            held += scaled(-peak[i], started(model, "z", i, t))
        return linear(held) <= M if held else pyo.Constraint.Skip

    model.kv_capacity = pyo.Constraint(
        sorted({*model.PROMPTS, *model.TOKENS}), rule=kv_capacity, doc="KV at a batch's end ≤ M"
    )


def add_goal(
    model: pyo.ConcreteModel, instance: Instance, graph: nx.MultiDiGraph[int], objective: str
) -> None:
    """Objective, with ``c_i = d_0 + Σ_k (d_{k+1} − d_k)·(1 − z_{i,d_k})`` over i's end times d.

    Latency ``Σ (c_i − a_i)``, weighted ``Σ w_i·c_i``, tardiness ``Σ w_i·max(0, c_i − d_i)`` (with
    what that is at d_k in place of d_k), makespan of the walk, or reward
    ``Σ r_i·X_{i,last}``: what is accepted completes in time (`horizon`), so none pays a penalty.
    """
    if objective == "makespan":
        model.goal = pyo.Objective(expr=makespan(model, graph), doc="makespan")
        return
    if objective == "reward":
        r = instance.reward.tolist()
        terms = [term for i in model.REQUESTS for term in scaled(r[i], served(model, i))]
        model.goal = pyo.Objective(expr=linear(terms), sense=pyo.maximize, doc="reward")
        return
    costs = late_costs(instance, objective)
    weight, due = costs.weight.tolist(), costs.due.tolist()
    terms, constant = [], 0.0
    for i in model.REQUESTS:
        ends = model.end_times[i]
        late = [max(0, end - due[i]) for end in ends]
        constant += weight[i] * late[-1]
        terms += [
            (-weight[i] * (more - cost), model.z[i, end])
            for end, (cost, more) in zip(ends, pairwise(late), strict=False)
            if more > cost
        ]
    model.goal = pyo.Objective(expr=linear(terms, constant), doc=objective)


def started(model: pyo.ConcreteModel, name: str, i: int, t: int) -> list[Term]:
    """The cumulative variable X, Y or z of request i at t: none before its first time."""
    times = {"X": "prompt_times", "Y": "token_times", "z": "end_times"}[name]
    of_request = getattr(model, times).get(i, [])
    position = bisect_right(of_request, t)
    return [(1, getattr(model, name)[i, of_request[position - 1]])] if position else []


def served(model: pyo.ConcreteModel, i: int) -> list[Term]:
    """``X_{i,last}``: whether request i is served."""
    return [(1, model.X[i, model.prompt_times[i][-1]])]


def scaled(factor: float, terms: list[Term]) -> list[Term]:
    """The terms times a factor."""
    return [(factor * coefficient, variable) for coefficient, variable in terms]


def minus(terms: list[Term]) -> list[Term]:
    """The terms with the other sign."""
    return scaled(-1, terms)


def _times(pairs: Iterator[tuple[int, int]]) -> dict[int, list[int]]:
    """Times of each request, increasing."""
    times: dict[int, list[int]] = {}
    for i, t in sorted(pairs):
        times.setdefault(i, []).append(t)
    return times


def _requests(pairs: Iterator[tuple[int, int]]) -> dict[int, list[int]]:
    """Requests of each time."""
    requests: dict[int, list[int]] = {}
    for i, t in pairs:
        requests.setdefault(t, []).append(i)
    return requests
