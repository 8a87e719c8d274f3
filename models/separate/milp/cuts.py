"""Valid inequalities: every feasible schedule satisfies them, the LP relaxation need not."""

from __future__ import annotations

import pyomo.environ as pyo

from ...instance import Instance
from ...linear import linear
from .time_expanded import Term, minus, started


def add_batch_counts(model: pyo.ConcreteModel, instance: Instance, objective: str) -> None:
    """Enough batches for what arrives from r on, for every arrival r (not for the reward).

    ``Σ_{t≥r} u_t ≥ U_r`` and ``Σ_{t≥r} v_t ≥ V_r``: the jobs of the requests R with a_i ≥ r start
    at r or later. A prompt batch holds at most B_P of them and C_P of their prompt tokens, and no
    two prompts above C_P/2, so U_r is the largest of ⌈|R|/B_P⌉, ⌈Σ s_i/C_P⌉ and the number of such
    prompts. A token batch holds at most B = min(B_D, K) of their Σ (o_i − 1) token jobs, where the
    K smallest s_i + 2 fit in M (a request in a token batch ends with at least that), and no two
    jobs of one request; so V_r is the larger of ⌈Σ (o_i − 1)/B⌉ and max (o_i − 1). The numbers of
    batches are integers, so both may be rounded up.
    """
    if objective == "reward":
        return
    of_sequence = model.formulation == "batch-sequence"
    arrival = instance.arrival.tolist()
    members = _servable(model)
    releases = sorted({arrival[i] for i in members})[: 1 if of_sequence else None]
    model.RELEASES = pyo.Set(initialize=releases, doc="arrivals r")

    def later(batches: pyo.Var, r: int) -> list[Term]:
        return [(1, batch) for t, batch in batches.items() if of_sequence or t >= r]

    def prompt_batches(model: pyo.ConcreteModel, r: int) -> object:
        late = [i for i in members if arrival[i] >= r]
        return linear(later(model.u, r)) >= least_prompt_batches(instance, late)

    def token_batches(model: pyo.ConcreteModel, r: int) -> object:
        least = least_token_batches(instance, [i for i in members if arrival[i] >= r], members)
        return linear(later(model.v, r)) >= least if least else pyo.Constraint.Skip

    model.enough_prompt_batches = pyo.Constraint(model.RELEASES, rule=prompt_batches)
    model.enough_token_batches = pyo.Constraint(model.RELEASES, rule=token_batches)


def _servable(model: pyo.ConcreteModel) -> list[int]:
    if model.formulation == "stages":
        return sorted(i for members in model.members for i in members)
    return list(model.REQUESTS)


def least_prompt_batches(instance: Instance, requests: list[int]) -> int:
    """U_r of `add_batch_counts`: prompt batches that these requests need.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=30, prompt_batch_requests=3, prompt_batch_tokens=7)
    >>> instance = Instance(gpu=gpu, arrival=[0] * 4, prompt=[4, 4, 5, 1], output=[1] * 4)
    >>> least_prompt_batches(instance, [0, 1, 2, 3]), least_prompt_batches(instance, [0, 3])
    (3, 1)
    """
    gpu, s = instance.gpu, [int(instance.prompt[i]) for i in requests]
    least = 1
    if gpu.prompt_batch_requests is not None:
        least = max(least, -(-len(s) // gpu.prompt_batch_requests))
    if gpu.prompt_batch_tokens is not None:
        least = max(least, -(-sum(s) // gpu.prompt_batch_tokens))
        least = max(least, sum(2 * tokens > gpu.prompt_batch_tokens for tokens in s))
    return least


def least_token_batches(instance: Instance, requests: list[int], everyone: list[int]) -> int:
    """V_r of `add_batch_counts`: token batches that these requests need, among `everyone`."""
    jobs = [int(instance.output[i]) - 1 for i in requests]
    held = sorted(int(instance.prompt[i]) + 2 for i in everyone if instance.output[i] > 1)
    together, total = 0, 0
    for size in held:
        total += size
        together += total <= instance.gpu.kv_capacity
    if instance.gpu.token_batch_requests is not None:
        together = min(together, instance.gpu.token_batch_requests)
    return max([-(-sum(jobs) // together), *jobs]) if together else 0


def add_remaining_jobs(model: pyo.ConcreteModel, instance: Instance, objective: str) -> None:
    """What is done had at most h jobs to start h batches before its last (S1 by request, S2).

    For h = 1 … o_i − 2 ``(o_i − 1 − h)·z_{i,t} ≤ Y_{i,t−(h+1)·τ_D}``, and for h = o_i − 1
    ``z_{i,t} ≤ X_{i,t−(o_i−1)·τ_D−τ_P}`` (h = 0 is in the formulation): the jobs of a request are
    in different batches, one after the other, so if the last ends by t, the one h before it has
    started h token batches before t − τ_D. In the batch sequence places stand for times:
    ``Y_{i,b−h}`` and ``X_{i,b−(o_i−1)}``.
    """
    if model.formulation in ("stages", "classes"):
        return
    o = instance.output.tolist()
    sequence = model.formulation == "batch-sequence"
    lags = [(i, t, h) for i, t in (model.JOBS if sequence else model.ENDS) for h in range(1, o[i])]
    model.LAGS = pyo.Set(dimen=3, initialize=lags, doc="(i, t, h): h jobs before the last")

    def started_by(name: str, i: int, t: int) -> list[Term]:
        if not sequence:
            return started(model, name, i, t)
        return [(1, getattr(model, name)[i, t])] if t >= 0 else []

    def remaining_jobs(model: pyo.ConcreteModel, i: int, t: int, h: int) -> object:
        token_job = h < o[i] - 1
        then = t - h if sequence else t - h * model.tau_D
        if not sequence:
            then -= model.tau_D if token_job else model.tau_P
        jobs = started_by("Y" if token_job else "X", i, then)
        return linear([(o[i] - 1 - h if token_job else 1, model.z[i, t]), *minus(jobs)]) <= 0

    model.remaining_jobs = pyo.Constraint(model.LAGS, rule=remaining_jobs)
