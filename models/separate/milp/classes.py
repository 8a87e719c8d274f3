"""Formulation S1, merged by class: requests that are equal from now on (model/separate.md §2).

Once its prompt is read, a request is known by two numbers: the tokens h that it holds and the token
jobs r that it has to go. Requests with the same two are interchangeable from then on,
whatever their prompts and outputs were: (s, o) = (3, 5) after its third token and (4, 4) after its
second are both in the class (h, r) = (6, 2). So prompts have names, x_{i,t}, and token jobs do not,
y_{c,t}: a job moves one request from class (h, r) to (h + 1, r − 1), the last one, r = 1, completes
it. The result is smaller than S1 by types and its relaxation is stronger: prompts are bounded one
by one, and fractions of requests that were of different types compete for one seat in the class.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import networkx as nx
import pyomo.environ as pyo

from ...instance import Instance
from ...linear import linear
from ...objectives import late_costs
from .gpu_path import add_gpu_path, makespan
from .network import Windows
from .running_classes import running_classes
from .time_expanded import Term


def add_classes(
    model: pyo.ConcreteModel,
    instance: Instance,
    graph: nx.MultiDiGraph[int],
    windows: Windows,
    objective: str,
) -> None:
    """Add the formulation: the table of contents of S1, merged by class."""
    add_gpu_path(model, graph, windows)
    add_token_jobs(model, instance, windows, objective)
    add_prompt_jobs(model, instance, windows)
    add_prompt_once(model, optional=objective == "reward")
    add_class_balance(model)
    add_jobs_in_batches(model)
    add_batch_limits(model, instance)
    add_kv_capacity(model, instance)
    add_goal(model, instance, graph, objective)


def add_token_jobs(
    model: pyo.ConcreteModel, instance: Instance, windows: Windows, objective: str
) -> None:
    """Add the classes and ``y_{c,t}``: requests of class c that are in the token batch at t.

    A class has jobs from the time at which the first of its members may be in it, until the last
    start of the class that follows, less τ_D; those of the last job until the latest completion of
    any member, less τ_D. In one batch are at most B_D of them, and as many as M holds.
    """
    gpu, tau_P, tau_D = instance.gpu, windows.prompt_time, windows.token_time
    model.classes, model.entry = running_classes(instance, objective, list(windows.servable))
    model.class_times = []
    for c in model.classes:
        first = min(
            int(windows.first_prompt[i]) + tau_P + (c.held - int(instance.prompt[i]) - 1) * tau_D
            for i in c.members
        )
        last = max(int(windows.latest[i]) for i in c.members) - c.to_go * tau_D
        if c.following is not None:
            last = min(last, model.class_times[c.following][-1] - tau_D)
        model.class_times.append([t for t in model.TOKENS if first <= t <= last])
    jobs = [(c, t) for c, times in enumerate(model.class_times) for t in times]
    model.TOKEN_JOBS = pyo.Set(dimen=2, initialize=jobs, doc="(c, t): class c may have jobs at t")

    def most(model: pyo.ConcreteModel, c: int, t: int) -> tuple[int, int]:
        of_class = model.classes[c]
        limits = [len(of_class.members), gpu.kv_capacity // (of_class.held + 1)]
        return 0, min([*limits, *([gpu.token_batch_requests] if gpu.token_batch_requests else [])])

    model.y = pyo.Var(
        model.TOKEN_JOBS, domain=pyo.NonNegativeIntegers, bounds=most, doc="jobs of class c at t"
    )


def add_prompt_jobs(model: pyo.ConcreteModel, instance: Instance, windows: Windows) -> None:
    """Add ``x_{i,t}``: request i's prompt is in the batch at t; in time for its class."""
    model.REQUESTS = pyo.Set(initialize=windows.servable, doc="requests i that may be served")
    jobs = []
    for i in model.REQUESTS:
        last = int(windows.last_prompt[i])
        if i in model.entry:
            last = min(last, model.class_times[model.entry[i]][-1] - model.tau_P)
        jobs += [(i, t) for t in model.PROMPTS if windows.first_prompt[i] <= t <= last]
    model.PROMPT_JOBS = pyo.Set(dimen=2, initialize=jobs, doc="(i, t): i's prompt may start at t")
    model.x = pyo.Var(model.PROMPT_JOBS, domain=pyo.Binary, doc="x_{i,t}: i's prompt starts at t")


def add_prompt_once(model: pyo.ConcreteModel, *, optional: bool) -> None:
    """Every prompt once, ``Σ_t x_{i,t} = 1``; under admission (`optional`) at most once."""
    starts = prompt_starts(model)

    def prompt_once(model: pyo.ConcreteModel, i: int) -> object:
        return linear(starts[i]) <= 1 if optional else linear(starts[i]) == 1

    model.prompt_once = pyo.Constraint(model.REQUESTS, rule=prompt_once, doc="each i is served")


def prompt_starts(model: pyo.ConcreteModel) -> dict[int, list[Term]]:
    """``Σ_t x_{i,t}`` of each request, as terms."""
    starts: dict[int, list[Term]] = {i: [] for i in model.REQUESTS}
    for (i, _), x in model.x.items():
        starts[i].append((1, x))
    return starts


def add_class_balance(model: pyo.ConcreteModel) -> None:
    """Classes: ``N_{c,t} = N_{c,t'} + (jobs into c that end in (t', t]) − y_{c,t} ≥ 0``.

    N_{c,t} requests stay in class c after the starts at t; t' is the time before t at which the
    class may have jobs. At its last time none stays.
    """

    def most(model: pyo.ConcreteModel, c: int, t: int) -> tuple[int, int]:
        last = t == model.class_times[c][-1]
        return 0, 0 if last else len(model.classes[c].members)

    model.N = pyo.Var(model.TOKEN_JOBS, bounds=most, doc="requests that stay in class c after t")
    entering = jobs_entering(model)

    def class_balance(model: pyo.ConcreteModel, c: int, t: int) -> object:
        times = model.class_times[c]
        position = bisect_left(times, t)
        stay = [(-1, model.N[c, times[position - 1]])] if position else []
        into = [(-1, job) for job in entering.get((c, t), [])]
        return linear([(1, model.N[c, t]), (1, model.y[c, t]), *stay, *into]) == 0

    model.class_balance = pyo.Constraint(model.TOKEN_JOBS, rule=class_balance)


def jobs_entering(model: pyo.ConcreteModel) -> dict[tuple[int, int], list[Any]]:
    """Jobs that put a request into class c, by c and the first time t of the class they allow."""
    into: dict[tuple[int, int], list[Any]] = {}

    def enter(c: int, end: int, job: object) -> None:
        times = model.class_times[c]
        into.setdefault((c, times[bisect_left(times, end)]), []).append(job)

    for (i, t), x in model.x.items():
        if i in model.entry:
            enter(model.entry[i], t + model.tau_P, x)
    for (c, t), y in model.y.items():
        following = model.classes[c].following
        if following is not None:
            enter(following, t + model.tau_D, y)
    return into


def add_jobs_in_batches(model: pyo.ConcreteModel) -> None:
    """A job needs its batch: ``x_{i,t} ≤ u_t`` and ``y_{c,t} ≤ most_c·v_t``."""

    def prompt_in_batch(model: pyo.ConcreteModel, i: int, t: int) -> object:
        return linear([(1, model.x[i, t]), (-1, model.u[t])]) <= 0

    def tokens_in_batch(model: pyo.ConcreteModel, c: int, t: int) -> object:
        y = model.y[c, t]
        return linear([(1, y), (-y.ub, model.v[t])]) <= 0

    model.prompt_in_batch = pyo.Constraint(model.PROMPT_JOBS, rule=prompt_in_batch)
    model.tokens_in_batch = pyo.Constraint(model.TOKEN_JOBS, rule=tokens_in_batch)


def add_batch_limits(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Limits: ``Σ_i x_{i,t} ≤ B_P·u_t``, ``Σ_i s_i·x_{i,t} ≤ C_P·u_t``, ``Σ_c y ≤ B_D·v_t``."""
    gpu, s = instance.gpu, instance.prompt.tolist()
    prompts: dict[int, list[tuple[int, object]]] = {}
    for (i, t), x in model.x.items():
        prompts.setdefault(t, []).append((s[i], x))
    tokens: dict[int, list[Term]] = {}
    for (_, t), y in model.y.items():
        tokens.setdefault(t, []).append((1, y))

    def limit(terms: list[Term], most: int | None, batch: object) -> object:
        if most is None or not terms:
            return pyo.Constraint.Skip
        return linear([*terms, (-most, batch)]) <= 0

    def prompt_requests(model: pyo.ConcreteModel, t: int) -> object:
        terms: list[Term] = [(1, x) for _, x in prompts.get(t, [])]
        return limit(terms, gpu.prompt_batch_requests, model.u[t])

    def prompt_tokens(model: pyo.ConcreteModel, t: int) -> object:
        terms: list[Term] = [(size, x) for size, x in prompts.get(t, [])]
        return limit(terms, gpu.prompt_batch_tokens, model.u[t])

    def token_requests(model: pyo.ConcreteModel, t: int) -> object:
        return limit(tokens.get(t, []), gpu.token_batch_requests, model.v[t])

    model.prompt_requests = pyo.Constraint(model.PROMPTS, rule=prompt_requests, doc="B_P")
    model.prompt_tokens = pyo.Constraint(model.PROMPTS, rule=prompt_tokens, doc="C_P")
    model.token_requests = pyo.Constraint(model.TOKENS, rule=token_requests, doc="B_D")


def add_kv_capacity(model: pyo.ConcreteModel, instance: Instance) -> None:
    """KV at the end of the batch that starts at t: at most M, with what completes in it.

    ``m_t = m_{t'} + Σ_i (s_i + 1)·x_{i,t} + Σ_c y_{c,t} − (peaks of what completes in (t', t])``,
    where t' is the time before t at which a batch may start and ``0 ≤ m_t ≤ M``.
    """
    M = instance.gpu.kv_capacity
    if sum(int(instance.peak[i]) for i in model.REQUESTS) <= M:
        return
    times = sorted({*model.PROMPTS, *model.TOKENS})
    model.BATCH_STARTS = pyo.Set(initialize=times)
    model.m = pyo.Var(model.BATCH_STARTS, bounds=(0, M), doc="KV at the end of the batch at t")
    changes: dict[int, list[Term]] = {}
    for (i, t), x in model.x.items():
        changes.setdefault(t, []).append((-int(instance.prompt[i]) - 1, x))
    for (_, t), y in model.y.items():
        changes.setdefault(t, []).append((-1, y))
    for peak, _, end, job in completions(model, instance):
        position = bisect_right(times, end - 1)
        if position < len(times):
            changes.setdefault(times[position], []).append((peak, job))
    earlier = dict(zip(times[1:], times, strict=False))

    def kv_capacity(model: pyo.ConcreteModel, t: int) -> object:
        before = [(-1, model.m[earlier[t]])] if t in earlier else []
        return linear([(1, model.m[t]), *before, *changes.get(t, [])]) == 0

    model.kv_capacity = pyo.Constraint(model.BATCH_STARTS, rule=kv_capacity, doc="defines m_t")


def completions(model: pyo.ConcreteModel, instance: Instance) -> list[tuple[int, int, int, Any]]:
    """(peak, a request like it, end, job variable) of every job that is the last of its request."""
    singles = [
        (int(instance.peak[i]), i, t + model.tau_P, x)
        for (i, t), x in model.x.items()
        if i not in model.entry
    ]
    return singles + [
        (model.classes[c].held + 1, model.classes[c].members[0], t + model.tau_D, y)
        for (c, t), y in model.y.items()
        if model.classes[c].following is None
    ]


def add_goal(
    model: pyo.ConcreteModel, instance: Instance, graph: nx.MultiDiGraph[int], objective: str
) -> None:
    """Objective: ``Σ w·end·(last jobs that end then)``, less Σ a_i for the latency.

    For the tardiness with ``max(0, end − d)`` in place of the end; makespan of the walk, or reward
    ``Σ_i r_i·Σ_t x_{i,t}``: what is accepted completes in time.
    """
    if objective == "makespan":
        model.goal = pyo.Objective(expr=makespan(model, graph), doc="makespan")
        return
    if objective == "reward":
        r = instance.reward.tolist()
        terms: list[Term] = [(r[i], x) for (i, _), x in model.x.items()]
        model.goal = pyo.Objective(expr=linear(terms), sense=pyo.maximize, doc="reward")
        return
    costs, latency = late_costs(instance, objective), objective == "latency"
    weight = costs.weight.tolist()
    due = [0] * instance.n if latency else costs.due.tolist()
    constant = -int(instance.arrival.sum()) if latency else 0
    terms = [
        (weight[i] * max(0, end - due[i]), job) for _, i, end, job in completions(model, instance)
    ]
    model.goal = pyo.Objective(expr=linear(terms, constant), doc=objective)
