"""Dominance: rules that some optimal schedule obeys, for the unit and the constant law.

All of them hold at once. Among the optimal schedules take those with the fewest batches, and among
these one with the least sum over all jobs of the end of their batch. Each proof below changes a
schedule that breaks its rule into a feasible one that is no worse, has no more batches, and has
fewer of them or a smaller sum; so this one breaks none. Exchanging the names of equal requests
(`symmetry`) changes neither number, hence may follow.
"""

from __future__ import annotations

from collections.abc import Callable

import pyomo.environ as pyo

from ...instance import Instance
from ...linear import linear
from .gpu_path import batches_ending
from .time_expanded import Term, minus, scaled, served, started


def add_left_shift(model: pyo.ConcreteModel, instance: Instance, objective: str) -> None:
    """A batch starts when one ends, or one of its prompts arrives just then (S1 only).

    ``v_t ≤ u_{t−τ_P} + v_{t−τ_D}`` and ``u_t ≤ u_{t−τ_P} + v_{t−τ_D} + Σ_{i: a_i = t} x_{i,t}``.
    Proof: else it and what follows could be left-shifted (`horizon`): same batches, a smaller sum.
    """
    if model.formulation == "batch-sequence":
        return
    arriving = _arriving(model, instance)

    def after_a_batch(model: pyo.ConcreteModel, t: int) -> object:
        ending = [(-1, batch) for batch in batches_ending(model, t)]
        return linear([(1, model.v[t]), *ending]) <= 0

    def after_a_batch_or_arrival(model: pyo.ConcreteModel, t: int) -> object:
        ending = [(-1, batch) for batch in batches_ending(model, t)]
        return linear([(1, model.u[t]), *ending, *minus(arriving(t))]) <= 0

    model.token_left_shift = pyo.Constraint(model.TOKENS, rule=after_a_batch)
    model.prompt_left_shift = pyo.Constraint(model.PROMPTS, rule=after_a_batch_or_arrival)


def _arriving(model: pyo.ConcreteModel, instance: Instance) -> Callable[[int], list[Term]]:
    """Prompt jobs at t of requests that arrive at t (of types with such a request)."""
    arrival = instance.arrival.tolist()

    def jobs(t: int) -> list[Term]:
        if model.formulation == "stages":
            return [
                (1, model.q[j, 0, t])
                for j, members in enumerate(model.members)
                if (j, 0, t) in model.q and any(arrival[i] == t for i in members)
            ]
        return [(1, model.x[i, t]) for i in model.REQUESTS if arrival[i] == t]

    return jobs


def add_merged_prompts(model: pyo.ConcreteModel, instance: Instance, objective: str) -> None:
    """Two prompt batches in a row would not fit into one, for some reason (S1 only).

    ``Σ_i f_i·(x_{i,t} + x_{i,t+τ_P}) ≥ u_t + u_{t+τ_P} − 1`` with f_i = max(1/(B_P + 1),
    s_i/(C_P + 1)) (a missing limit gives 0), but f_i = 1 at t if o_i = 1, and at t + τ_P if
    a_i > t. Proof: let both batches be there. If one of the last two cases occurs the left side is
    at least 1. Else put all prompts into the batch at t: they have arrived, the KV at its end is
    what the second batch had at its end (none of the first completed between), no completion is
    later, and there is one batch less. So it exceeds B_P or C_P, and then Σ f_i ≥ 1.
    """
    if model.formulation == "batch-sequence":
        return
    gpu, tau_P = instance.gpu, model.tau_P
    B_P, C_P = gpu.prompt_batch_requests, gpu.prompt_batch_tokens
    prompts = _prompt_jobs(model, instance)

    def share(s: int) -> float:
        return max(1 / (B_P + 1) if B_P else 0.0, s / (C_P + 1) if C_P else 0.0)

    def merged_prompts(model: pyo.ConcreteModel, t: int) -> object:
        if t + tau_P not in model.PROMPTS:
            return pyo.Constraint.Skip
        first = [(1.0 if o == 1 else share(s), job) for job, s, o, _ in prompts.get(t, [])]
        second = [
            (1.0 if t < last <= t + tau_P else share(s), job)
            for job, s, _, last in prompts.get(t + tau_P, [])
        ]
        terms = minus([(f, job) for f, job in [*first, *second] if f])
        return linear([(1, model.u[t]), (1, model.u[t + tau_P]), *terms], -1) <= 0

    model.merged_prompts = pyo.Constraint(model.PROMPTS, rule=merged_prompts)


def _prompt_jobs(
    model: pyo.ConcreteModel, instance: Instance
) -> dict[int, list[tuple[object, int, int, int]]]:
    """Prompt jobs by time t: variable, s, o, and the last arrival up to t of those it may be."""
    arrival = instance.arrival.tolist()
    jobs: dict[int, list[tuple[object, int, int, int]]] = {}
    if model.formulation == "stages":
        for (j, g, t), job in model.q.items():
            if g == 0:
                last = max(arrival[i] for i in model.members[j] if arrival[i] <= t)
                jobs.setdefault(t, []).append((job, model.s[j], model.o[j], last))
        return jobs
    for (i, t), job in model.x.items():
        lengths = int(instance.prompt[i]), int(instance.output[i])
        jobs.setdefault(t, []).append((job, *lengths, arrival[i]))
    return jobs


def add_full_batches(model: pyo.ConcreteModel, instance: Instance, objective: str) -> None:
    """Nothing that fits is left out, where KV never binds: Σ (s_i + o_i) ≤ M (time-expanded only).

    Prompts: with f_k = max(1/B_P, s_k/(C_P − s_i + 1)) (a missing limit gives 0)
    ``Σ_{k≠i} f_k·x_{k,t} ≥ u_t + X_{i,last} − 1 − X_{i,t}`` for a_i ≤ t. Tokens:
    ``Σ_{k≠i} y_{k,t}/B_D ≥ v_t + X_{i,t−τ_P} − 1 − z_{i,t} − y_{i,t}``. Proof: if i is served, has
    arrived and waits for its prompt while a prompt batch starts, and has room in it, move its
    prompt job there; likewise its last token job into a token batch (its token jobs are then in
    other batches than before, in order). Batch times do not depend on it, KV does not bind, a batch
    that becomes empty is left out, no completion is later, and the moved job ends earlier. So there
    is no room: the batch holds B_P others, or more than C_P − s_i of their tokens (B_D others).
    """
    if model.formulation != "time-expanded":
        return
    if sum(int(instance.peak[i]) for i in model.REQUESTS) > instance.gpu.kv_capacity:
        return
    B_P, C_P = instance.gpu.prompt_batch_requests, instance.gpu.prompt_batch_tokens
    B_D = instance.gpu.token_batch_requests
    s = instance.prompt.tolist()

    def full_prompt_batch(model: pyo.ConcreteModel, i: int, t: int) -> object:
        others = [
            (max(1 / B_P if B_P else 0, s[k] / (C_P - s[i] + 1) if C_P else 0), model.x[k, t])
            for k in model.REQUESTS
            if k != i and (k, t) in model.x
        ]
        left_out = [(1.0, model.u[t]), *served(model, i), *minus(started(model, "X", i, t))]
        return linear([*left_out, *minus([(f, x) for f, x in others if f])], -1) <= 0

    def full_token_batch(model: pyo.ConcreteModel, i: int, t: int) -> object:
        others = [(1.0, model.y[k, t]) for k in model.REQUESTS if k != i and (k, t) in model.y]
        left_out = [
            (1.0, model.v[t]), *started(model, "X", i, t - model.tau_P),
            *minus(started(model, "z", i, t)), (-1.0, model.y[i, t]),
        ]  # fmt: skip
        full = scaled(-1 / B_D, others) if B_D else []
        return linear([*left_out, *full], -1) <= 0

    model.full_prompt_batch = pyo.Constraint(model.PROMPT_JOBS, rule=full_prompt_batch)
    model.full_token_batch = pyo.Constraint(model.TOKEN_JOBS, rule=full_token_batch)


def add_early_tokens(model: pyo.ConcreteModel, instance: Instance, objective: str) -> None:
    """Of two token batches in a row the first holds all of the second, or is full (not by class).

    Or a request completes in it. Request by request ``y_{i,t+τ_D} ≤ y_{i,t} + (1 − v_t) +
    Σ_{k≠i} y_{k,t}/B_D + Σ_k (z_{k,t+τ_D} − z_{k,t})`` (no limit: no term); for stages, with most
    as in `stages.most_in_batch`, ``q_{j,g,t+τ_D} ≤ q_{j,g−1,t} + most·((1 − v_t) + Σ q_t/B_D +
    completions at t + τ_D)``, where only jobs in token batches count.
    Proof: let i be in the second batch and not in the first, which has room and completes none.
    i has its prompt read, since the batch before the second is a token batch. Move its job into the
    first: the KV at its end is one more, no more than at the end of the second, where it is the
    same as before and at least one job later. No completion is later, the moved job ends earlier,
    and a second batch that becomes empty is left out.
    """
    if model.formulation in ("batch-sequence", "classes"):
        return
    add = _early_stages if model.formulation == "stages" else _early_jobs
    add(model, instance.gpu.token_batch_requests)


def _early_jobs(model: pyo.ConcreteModel, B_D: int | None) -> None:
    def early_tokens(model: pyo.ConcreteModel, i: int, t: int) -> object:
        end = t + model.tau_D
        if (i, end) not in model.y:
            return pyo.Constraint.Skip
        in_first = [
            (1.0 if k == i else 1 / B_D if B_D else 0, model.y[k, t])
            for k in model.REQUESTS
            if (k, t) in model.y
        ]
        done = [(1.0, model.z[k, end]) for k in model.REQUESTS if (k, end) in model.z]
        not_before = [
            term
            for k in model.REQUESTS
            if (k, end) in model.z
            for term in minus(started(model, "z", k, t))
        ]
        excuse = [*((f, y) for f, y in in_first if f), *done, *not_before]
        return linear([(1, model.y[i, end]), (1, model.v[t]), *minus(excuse)], -1) <= 0

    pairs = [(i, t) for i in model.REQUESTS for t in model.TOKENS]
    model.early_tokens = pyo.Constraint(pairs, rule=early_tokens)


def _early_stages(model: pyo.ConcreteModel, B_D: int | None) -> None:
    leaving: dict[int, list[object]] = {}
    for (_, g, t), job in model.q.items():
        if g:
            leaving.setdefault(t, []).append(job)
    completing: dict[int, list[object]] = {}
    for j, g, t in model.STAGES:
        if g == model.o[j] - 1:
            completing.setdefault(t, []).append(model.q[j, g, t])

    def early_tokens(model: pyo.ConcreteModel, j: int, g: int, t: int) -> object:
        first = t - model.tau_D  # of the two batches, the one at t is the second
        if first not in model.v:
            return pyo.Constraint.Skip
        most = model.q[j, g, t].ub
        excuse: list[Term] = [(-most, model.v[first])]
        excuse += [(most / B_D, job) for job in leaving.get(first, [])] if B_D else []
        excuse += [(most, job) for job in completing.get(first, [])]
        if g > 1 and (j, g - 1, first) in model.q:
            excuse.append((1, model.q[j, g - 1, first]))
        return linear([(1, model.q[j, g, t]), *minus(excuse)], -most) <= 0

    model.early_tokens = pyo.Constraint(model.STAGES, rule=early_tokens)
