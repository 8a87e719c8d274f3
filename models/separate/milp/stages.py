"""Formulation S1, aggregated by type: integer flows of requests over stages (model/separate.md §2).

Requests of one type are interchangeable once they have arrived (`types`). A request of type j is in
stage g once it has g output tokens; it enters stage 1 by its prompt job, moves from g to g + 1 by a
token job and leaves the last stage o_j done. A job takes its request out of its stage when it
starts and puts it into the next when it ends.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import networkx as nx
import pyomo.environ as pyo

from ...instance import Instance
from ...linear import linear
from ...objectives import late_costs
from .gpu_path import add_gpu_path, makespan
from .network import Windows
from .request_types import request_types
from .time_expanded import Term


def add_stages(
    model: pyo.ConcreteModel,
    instance: Instance,
    graph: nx.MultiDiGraph[int],
    windows: Windows,
    objective: str,
) -> None:
    """Add the formulation: the table of contents of S1, aggregated."""
    add_gpu_path(model, graph, windows)
    add_types(model, instance, windows, objective)
    add_stage_jobs(model, instance, windows)
    add_arrivals(model, instance, optional=objective == "reward")
    add_stage_balance(model)
    add_jobs_in_batches(model, instance)
    add_batch_limits(model, instance)
    add_kv_capacity(model, instance)
    add_goal(model, instance, graph, objective)


def add_types(
    model: pyo.ConcreteModel, instance: Instance, windows: Windows, objective: str
) -> None:
    """Add the set TYPES and, for each type j, its members by arrival, s_j and o_j."""
    possible = set(windows.servable)
    types = [
        [i for i in members if i in possible] for members in request_types(instance, objective)
    ]
    model.members = [members for members in types if members]
    model.TYPES = pyo.RangeSet(0, len(model.members) - 1, doc="types j of equal requests")
    model.s = [int(instance.prompt[members[0]]) for members in model.members]
    model.o = [int(instance.output[members[0]]) for members in model.members]


def add_stage_jobs(model: pyo.ConcreteModel, instance: Instance, windows: Windows) -> None:
    """Add the jobs ``q_{j,g,t}``: requests of type j that leave stage g in the batch at t.

    Stage 0 is waiting for the prompt job. A job of stage g starts no earlier than the first arrival
    of the type, τ_P and (g − 1)·τ_D, and ends no later than the last start of stage g + 1; in the
    last stage no later than the latest completion of the type.
    """
    tau_P, tau_D = windows.prompt_time, windows.token_time
    jobs = []
    for j, members in enumerate(model.members):
        first = min(int(windows.first_prompt[i]) for i in members)
        last = max(int(windows.latest[i]) for i in members)
        for g in reversed(range(model.o[j])):
            begin = first + (tau_P + (g - 1) * tau_D if g else 0)
            end = last - (tau_D if g else tau_P)
            starts = [t for t in (model.TOKENS if g else model.PROMPTS) if begin <= t <= end]
            jobs += [(j, g, t) for t in starts]
            last = starts[-1]
    model.JOBS = pyo.Set(dimen=3, initialize=jobs, doc="(j, g, t): jobs that stage g may start")

    def most(model: pyo.ConcreteModel, j: int, g: int, t: int) -> tuple[int, int]:
        return 0, most_in_batch(instance, model, j, g)

    model.q = pyo.Var(
        model.JOBS, domain=pyo.NonNegativeIntegers, bounds=most, doc="requests leaving stage g at t"
    )
    model.job_times = {}
    for j, g, t in sorted(jobs):
        model.job_times.setdefault((j, g), []).append(t)


def most_in_batch(instance: Instance, model: pyo.ConcreteModel, j: int, g: int) -> int:
    """Most jobs of type j from stage g in one batch: n_j, the batch limits, and M at its end."""
    gpu, s = instance.gpu, int(model.s[j])
    limits = [len(model.members[j]), gpu.kv_capacity // (s + g + 1)]
    if g == 0:
        limits += [gpu.prompt_batch_requests] if gpu.prompt_batch_requests else []
        limits += [gpu.prompt_batch_tokens // s] if gpu.prompt_batch_tokens else []
    else:
        limits += [gpu.token_batch_requests] if gpu.token_batch_requests else []
    return min(limits)


def add_arrivals(model: pyo.ConcreteModel, instance: Instance, *, optional: bool) -> None:
    """Prompts follow arrivals: ``Σ_{t'≤t} q_{j,0,t'} ≤ N_j(t)``, with N_j(t) arrived by t.

    At the last time all are served: ``= n_j`` (`optional`: ≤, the rest is rejected). A row stands
    only before an arrival of the type: between them the last one implies the others.
    """
    arrivals = [[int(instance.arrival[i]) for i in members] for members in model.members]

    def prompts_arrived(model: pyo.ConcreteModel, j: int, t: int) -> object:
        times = model.job_times[j, 0]
        arrived = bisect_right(arrivals[j], t)
        position = bisect_right(times, t)
        last = position == len(times)
        if not last and bisect_right(arrivals[j], times[position]) == arrived:
            return pyo.Constraint.Skip
        total = linear([(1, model.q[j, 0, k]) for k in times[:position]])
        return total == arrived if last and not optional else total <= arrived

    model.WAITING = pyo.Set(
        dimen=2,
        initialize=[(j, t) for j in model.TYPES for t in model.job_times[j, 0]],
        doc="(j, t): prompts of type j may start at t",
    )
    model.prompts_arrived = pyo.Constraint(model.WAITING, rule=prompts_arrived)


def add_stage_balance(model: pyo.ConcreteModel) -> None:
    """Stages: ``N_{j,g,t} = N_{j,g,t'} + (jobs into g that end in (t', t]) − q_{j,g,t} ≥ 0``.

    N_{j,g,t} requests stay in stage g ≥ 1 after the starts at t; t' is the time before t at which
    stage g may start jobs. At its last time none stays.
    """
    stages = [(j, g, t) for j, g, t in model.JOBS if g > 0]
    model.STAGES = pyo.Set(dimen=3, initialize=stages, doc="(j, g, t): token jobs from stage g ≥ 1")

    def most(model: pyo.ConcreteModel, j: int, g: int, t: int) -> tuple[int, int]:
        last = t == model.job_times[j, g][-1]
        return 0, 0 if last else len(model.members[j])

    model.N = pyo.Var(model.STAGES, bounds=most, doc="requests that stay in stage g after t")

    def stage_balance(model: pyo.ConcreteModel, j: int, g: int, t: int) -> object:
        times = model.job_times[j, g]
        position = bisect_right(times, t) - 1
        before = times[position - 1] if position else None
        entering = [(-1, variable) for variable in entering_stage(model, j, g, before, t)]
        stay = [(-1, model.N[j, g, before])] if before is not None else []
        return linear([(1, model.N[j, g, t]), (1, model.q[j, g, t]), *stay, *entering]) == 0

    model.stage_balance = pyo.Constraint(model.STAGES, rule=stage_balance)


def entering_stage(
    model: pyo.ConcreteModel, j: int, g: int, after: int | None, until: int
) -> list[Any]:
    """Jobs that put requests of type j into stage g at a time in (after, until]."""
    length = model.tau_P if g == 1 else model.tau_D
    times = model.job_times[j, g - 1]
    first = 0 if after is None else bisect_right(times, after - length)
    return [model.q[j, g - 1, t] for t in times[first : bisect_right(times, until - length)]]


def add_jobs_in_batches(model: pyo.ConcreteModel, instance: Instance) -> None:
    """A job needs its batch: ``q_{j,g,t} ≤ most_{j,g}·u_t`` (g = 0) or ``·v_t`` (g ≥ 1)."""

    def job_in_batch(model: pyo.ConcreteModel, j: int, g: int, t: int) -> object:
        batch = model.v[t] if g else model.u[t]
        return linear([(1, model.q[j, g, t]), (-most_in_batch(instance, model, j, g), batch)]) <= 0

    model.job_in_batch = pyo.Constraint(model.JOBS, rule=job_in_batch)


def add_batch_limits(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Batch limits: ``Σ_j q_{j,0,t} ≤ B_P·u_t``, ``Σ_j s_j·q_{j,0,t} ≤ C_P·u_t``, and B_D·v_t."""
    gpu = instance.gpu
    prompts, tokens = _by_time(model)

    def limit(terms: list[Term], most: int | None, batch: object) -> object:
        if most is None or not terms:
            return pyo.Constraint.Skip
        return linear([*terms, (-most, batch)]) <= 0

    def prompt_requests(model: pyo.ConcreteModel, t: int) -> object:
        terms = [(1.0, model.q[job]) for job in prompts.get(t, [])]
        return limit(terms, gpu.prompt_batch_requests, model.u[t])

    def prompt_tokens(model: pyo.ConcreteModel, t: int) -> object:
        terms = [(model.s[job[0]], model.q[job]) for job in prompts.get(t, [])]
        return limit(terms, gpu.prompt_batch_tokens, model.u[t])

    def token_requests(model: pyo.ConcreteModel, t: int) -> object:
        terms = [(1.0, model.q[job]) for job in tokens.get(t, [])]
        return limit(terms, gpu.token_batch_requests, model.v[t])

    model.prompt_requests = pyo.Constraint(model.PROMPTS, rule=prompt_requests, doc="B_P")
    model.prompt_tokens = pyo.Constraint(model.PROMPTS, rule=prompt_tokens, doc="C_P")
    model.token_requests = pyo.Constraint(model.TOKENS, rule=token_requests, doc="B_D")


def _by_time(model: pyo.ConcreteModel) -> tuple[dict[int, list[tuple[int, int, int]]], ...]:
    """Jobs by their start: those of prompt batches, those of token batches."""
    prompts: dict[int, list[tuple[int, int, int]]] = {}
    tokens: dict[int, list[tuple[int, int, int]]] = {}
    for j, g, t in model.JOBS:
        (tokens if g else prompts).setdefault(t, []).append((j, g, t))
    return prompts, tokens


def add_kv_capacity(model: pyo.ConcreteModel, instance: Instance) -> None:
    """KV at the end of the batch that starts at t: at most M, with what completes in it.

    What stays in stage g holds s_j + g tokens, what leaves it in the running batch s_j + g + 1:
    ``m_t = m_{t'} + Σ_j [(s_j + 1)·q_{j,0,t} + Σ_{g≥1} q_{j,g,t}] − Σ_j (s_j + o_j)·(completions in
    (t', t])``, where t' is the time before t and ``0 ≤ m_t ≤ M``.
    """
    M = instance.gpu.kv_capacity
    if sum(int(instance.peak[i]) for members in model.members for i in members) <= M:
        return
    model.BATCH_STARTS = pyo.Set(initialize=sorted({*model.PROMPTS, *model.TOKENS}))
    model.m = pyo.Var(model.BATCH_STARTS, bounds=(0, M), doc="KV at the end of the batch at t")
    growing: dict[int, list[Term]] = {}
    for j, g, t in model.JOBS:
        growing.setdefault(t, []).append((-1 if g else -(model.s[j] + 1), model.q[j, g, t]))
    times = list(model.BATCH_STARTS)
    freeing: dict[int, list[Term]] = {}
    for j, end, job in completions(model):
        position = bisect_right(times, end - 1)
        if position < len(times):
            freed = model.s[j] + model.o[j]
            freeing.setdefault(times[position], []).append((freed, job))
    earlier = dict(zip(times[1:], times, strict=False))

    def kv_capacity(model: pyo.ConcreteModel, t: int) -> object:
        before = [(-1, model.m[earlier[t]])] if t in earlier else []
        terms = [(1, model.m[t]), *before, *growing.get(t, []), *freeing.get(t, [])]
        return linear(terms) == 0

    model.kv_capacity = pyo.Constraint(model.BATCH_STARTS, rule=kv_capacity, doc="defines m_t")


def completions(model: pyo.ConcreteModel) -> list[tuple[int, int, Any]]:
    """(type, end, job variable) of every job that may be a request's last."""
    return [
        (j, t + (model.tau_D if g else model.tau_P), model.q[j, g, t])
        for j, g, t in model.JOBS
        if g == model.o[j] - 1
    ]


def add_goal(
    model: pyo.ConcreteModel, instance: Instance, graph: nx.MultiDiGraph[int], objective: str
) -> None:
    """Objective: ``Σ_{j,t} w_j·end·(last jobs that end then)``, less Σ a_i for the latency.

    For the tardiness with ``max(0, end − d_j)`` in place of the end; makespan of the walk, or
    reward ``Σ_j r_j·Σ_t q_{j,0,t}``: what is accepted completes in time.
    """
    if objective == "makespan":
        model.goal = pyo.Objective(expr=makespan(model, graph), doc="makespan")
        return
    if objective == "reward":
        r = [float(instance.reward[members[0]]) for members in model.members]
        terms = [(r[j], x) for (j, g, _), x in model.q.items() if g == 0]
        model.goal = pyo.Objective(expr=linear(terms), sense=pyo.maximize, doc="reward")
        return
    costs, latency = late_costs(instance, objective), objective == "latency"
    weight = [float(costs.weight[members[0]]) for members in model.members]
    due = [0 if latency else int(costs.due[members[0]]) for members in model.members]
    constant = -int(instance.arrival.sum()) if latency else 0
    terms = [(weight[j] * max(0, end - due[j]), job) for j, end, job in completions(model)]
    model.goal = pyo.Objective(expr=linear(terms, constant), doc=objective)
