"""Formulation S2: a sequence of batches with start times, for every law (model/separate.md §2).

There are B places b = 0 … B − 1 for batches; places that are not used come last and take no time.
X_{i,b} and Y_{i,b} count the prompt and token jobs of i in places up to b, z_{i,b} = 1 iff all of
i's jobs are among them. With G_{i,b} = X_{i,b−1} + Y_{i,b−1} tokens emitted before, the batch times
are affine in the composition but for the KV tokens that token jobs read,
Σ_i (s_i + G_{i,b})·y_{i,b}, which the variables h_{i,b} bound from below.
"""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo

from ...completion_goal import add_completion_goal, servable
from ...durations import Durations, batch_durations
from ...instance import Instance, IntArray
from ...linear import linear
from ..problem import times_alone
from .time_expanded import Term, minus, scaled


def most_batches(instance: Instance, latest: IntArray) -> int:
    """Return B: a left-shifted optimal schedule has no more batches.

    No batch is empty, so there are at most as many as jobs, Σ o_i. And from the first arrival to
    the latest completion there is room for no more than the shortest batch allows.

    Examples
    --------
    >>> import numpy as np
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=2))
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[4, 2])
    >>> most_batches(instance, np.array([30, 30])), most_batches(instance, np.array([10, 9]))
    (6, 5)
    """
    law = batch_durations(instance)
    possible = servable(instance, latest, np.array(times_alone(instance)))
    s = instance.prompt.tolist()
    jobs = sum(int(instance.output[i]) for i in possible)
    shortest: int = min(
        min(law.prompt_batch(s[i]), law.token_batch(1, s[i] + 1)) for i in possible
    )  # fmt: skip
    span = max(int(latest[i]) for i in possible) - min(int(instance.arrival[i]) for i in possible)
    return min(jobs, span // shortest)


def add_batch_sequence(
    model: pyo.ConcreteModel, instance: Instance, latest: IntArray, objective: str
) -> None:
    """Add the formulation: the table of contents of S2."""
    optional = objective == "reward"
    add_places(model, instance, latest)
    add_jobs(model, instance)
    add_all_jobs(model, instance, optional=optional)
    add_prompt_first(model)
    add_batch_limits(model, instance)
    add_done(model, instance)
    add_kv_capacity(model, instance)
    add_batch_times(model, instance)
    add_starts(model, instance)
    add_completions(model, instance, latest, objective)
    last = model.BATCHES.last()
    add_completion_goal(model, instance, objective, lambda i: model.X[i, last])


def add_places(model: pyo.ConcreteModel, instance: Instance, latest: IntArray) -> None:
    """Add the places: ``u_b`` (a prompt batch), ``v_b`` (a token batch), ``u_b + v_b ≤ 1``.

    Unused places come last: ``u_b + v_b ≥ u_{b+1} + v_{b+1}``. The first batch has prompts.
    """
    possible = servable(instance, latest, np.array(times_alone(instance)))
    model.REQUESTS = pyo.Set(initialize=possible, doc="requests i")
    model.latest = latest.tolist()
    B = most_batches(instance, latest)
    model.BATCHES = pyo.RangeSet(0, B - 1, doc="places b for batches")
    model.u = pyo.Var(model.BATCHES, domain=pyo.Binary, doc="u_b: place b is a prompt batch")
    model.v = pyo.Var(model.BATCHES, domain=pyo.Binary, doc="v_b: place b is a token batch")
    model.v[0].fix(0)

    def one_kind(model: pyo.ConcreteModel, b: int) -> object:
        return model.u[b] + model.v[b] <= 1

    def unused_last(model: pyo.ConcreteModel, b: int) -> object:
        if b + 1 == B:
            return pyo.Constraint.Skip
        return model.u[b + 1] + model.v[b + 1] - model.u[b] - model.v[b] <= 0

    model.one_kind = pyo.Constraint(model.BATCHES, rule=one_kind)
    model.unused_last = pyo.Constraint(model.BATCHES, rule=unused_last)


def add_jobs(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Add the jobs and their sums: ``x_{i,b} ≤ u_b``, ``y_{i,b} ≤ v_b``; X and Y up to b."""
    o = instance.output.tolist()
    model.JOBS = model.REQUESTS * model.BATCHES
    model.x = pyo.Var(model.JOBS, domain=pyo.Binary, doc="x_{i,b}: i's prompt is in b")
    model.y = pyo.Var(model.JOBS, domain=pyo.Binary, doc="y_{i,b}: a token job of i is in b")
    model.X = pyo.Var(model.JOBS, bounds=(0, 1), doc="X_{i,b}: prompt jobs of i up to b")
    model.Y = pyo.Var(
        model.JOBS, bounds=lambda _, i, b: (0, o[i] - 1), doc="Y_{i,b}: token jobs of i up to b"
    )

    def prompt_in_batch(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.x[i, b] <= model.u[b]

    def token_in_batch(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.y[i, b] <= model.v[b]

    def prompts_so_far(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return (
            linear([(1, model.X[i, b]), (-1, model.x[i, b]), *minus(_before(model.X, i, b))]) == 0
        )

    def tokens_so_far(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return (
            linear([(1, model.Y[i, b]), (-1, model.y[i, b]), *minus(_before(model.Y, i, b))]) == 0
        )

    model.prompt_in_batch = pyo.Constraint(model.JOBS, rule=prompt_in_batch)
    model.token_in_batch = pyo.Constraint(model.JOBS, rule=token_in_batch)
    model.prompts_so_far = pyo.Constraint(model.JOBS, rule=prompts_so_far, doc="defines X")
    model.tokens_so_far = pyo.Constraint(model.JOBS, rule=tokens_so_far, doc="defines Y")


def _before(variable: pyo.Var, i: int, b: int) -> list[Term]:
    """X, Y or z of the places before b."""
    return [(1, variable[i, b - 1])] if b else []


def add_all_jobs(model: pyo.ConcreteModel, instance: Instance, *, optional: bool) -> None:
    """All jobs: ``X_{i,B−1} = 1`` (`optional`: iff accepted), ``Y = (o_i − 1)·X`` there."""
    o = instance.output.tolist()
    last = model.BATCHES.last()

    def all_prompts(model: pyo.ConcreteModel, i: int) -> object:
        return pyo.Constraint.Skip if optional else model.X[i, last] == 1

    def all_tokens(model: pyo.ConcreteModel, i: int) -> object:
        return linear([(1, model.Y[i, last]), (1 - o[i], model.X[i, last])]) == 0

    model.all_prompts = pyo.Constraint(model.REQUESTS, rule=all_prompts)
    model.all_tokens = pyo.Constraint(model.REQUESTS, rule=all_tokens)


def add_prompt_first(model: pyo.ConcreteModel) -> None:
    """Token jobs in later batches than the prompt: ``y_{i,b} ≤ X_{i,b−1}``."""

    def prompt_first(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(1, model.y[i, b]), *minus(_before(model.X, i, b))]) <= 0

    model.prompt_first = pyo.Constraint(model.JOBS, rule=prompt_first)


def add_batch_limits(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Limits: ``Σ_i x_{i,b} ≤ B_P·u_b``, ``Σ_i s_i·x_{i,b} ≤ C_P·u_b``, ``Σ_i y_{i,b} ≤ B_D·v_b``.

    No batch is empty: ``u_b ≤ Σ_i x_{i,b}``, ``v_b ≤ Σ_i y_{i,b}``.
    """
    gpu, s = instance.gpu, instance.prompt.tolist()

    def limited(size: list[int], limit: int | None, jobs: pyo.Var, batch: pyo.Var) -> object:
        def rule(model: pyo.ConcreteModel, b: int) -> object:
            if limit is None:
                return pyo.Constraint.Skip
            terms = [(size[i], jobs[i, b]) for i in model.REQUESTS]
            return linear([*terms, (-limit, batch[b])]) <= 0

        return pyo.Constraint(model.BATCHES, rule=rule)

    def not_empty(jobs: pyo.Var, batch: pyo.Var) -> object:
        def rule(model: pyo.ConcreteModel, b: int) -> object:
            return linear([(1, batch[b]), *((-1, jobs[i, b]) for i in model.REQUESTS)]) <= 0

        return pyo.Constraint(model.BATCHES, rule=rule)

    ones = [1] * instance.n
    model.prompt_requests = limited(ones, gpu.prompt_batch_requests, model.x, model.u)
    model.prompt_tokens = limited(s, gpu.prompt_batch_tokens, model.x, model.u)
    model.token_requests = limited(ones, gpu.token_batch_requests, model.y, model.v)
    model.prompts_not_empty = not_empty(model.x, model.u)
    model.tokens_not_empty = not_empty(model.y, model.v)


def add_done(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Done: ``o_i·z_{i,b} ≤ X_{i,b} + Y_{i,b}``."""
    o = instance.output.tolist()
    model.z = pyo.Var(model.JOBS, domain=pyo.Binary, doc="z_{i,b}: i is done by the end of b")

    def done(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(o[i], model.z[i, b]), (-1, model.X[i, b]), (-1, model.Y[i, b])]) <= 0

    model.done = pyo.Constraint(model.JOBS, rule=done)


def add_kv_capacity(model: pyo.ConcreteModel, instance: Instance) -> None:
    """KV at the end of b: ``Σ_i [(s_i + 1)·X_{i,b} + Y_{i,b} − (s_i + o_i)·z_{i,b−1}] ≤ M``."""
    M = instance.gpu.kv_capacity
    s, peak = instance.prompt.tolist(), instance.peak.tolist()

    def kv_capacity(model: pyo.ConcreteModel, b: int) -> object:
        held: list[Term] = []
        for i in model.REQUESTS:
            held += [(s[i] + 1, model.X[i, b]), (1, model.Y[i, b])]
            held += scaled(-peak[i], _before(model.z, i, b))
        return linear(held) <= M

    model.kv_capacity = pyo.Constraint(model.BATCHES, rule=kv_capacity, doc="KV at the end of b")


def add_batch_times(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Batch time D_b, an integer: at least the law's quotient, so at the optimum rounded up.

    ``D_b ≥ (c_P·u_b + c_D·v_b + c1·Σ_i s_i·x_{i,b} + c2·Σ_i y_{i,b} + c3·Σ_i h_{i,b}) / divisor``
    with the integers of `durations.Durations`. KV tokens read (for c3 > 0): ``h_{i,b} ≥
    s_i·y_{i,b} + G_{i,b} − o_i·(1 − y_{i,b})``. The big-M is the smallest that asks nothing of who
    is not in the batch, since G_{i,b} reaches o_i.
    """
    law = batch_durations(instance)
    s, o = instance.prompt.tolist(), instance.output.tolist()
    model.D = pyo.Var(
        model.BATCHES, domain=pyo.NonNegativeIntegers, bounds=(0, _longest_batch(instance, law)),
        doc="D_b: time of batch b",
    )  # fmt: skip
    if law.per_kv_token:
        model.h = pyo.Var(model.JOBS, bounds=(0, None), doc="h_{i,b}: KV tokens that i reads in b")

        def kv_read(model: pyo.ConcreteModel, i: int, b: int) -> object:
            emitted = [*_before(model.X, i, b), *_before(model.Y, i, b)]
            terms = [(s[i] + o[i], model.y[i, b]), *emitted, (-1, model.h[i, b])]
            return linear(terms, -o[i]) <= 0

        model.kv_read = pyo.Constraint(model.JOBS, rule=kv_read)

    def batch_time(model: pyo.ConcreteModel, b: int) -> object:
        work: list[Term] = [(law.prompt, model.u[b]), (law.token, model.v[b])]
        for i in model.REQUESTS:
            work.append((law.per_prompt_token * s[i], model.x[i, b]))
            work.append((law.per_token_job, model.y[i, b]))
            if law.per_kv_token:
                work.append((law.per_kv_token, model.h[i, b]))
        used = [(size, variable) for size, variable in work if size]
        return linear([*scaled(1 / law.divisor, used), (-1, model.D[b])]) <= 0

    model.batch_time = pyo.Constraint(model.BATCHES, rule=batch_time)


def _longest_batch(instance: Instance, law: Durations) -> int:
    """Time of a batch of all requests, which no batch exceeds."""
    kv = int(instance.peak.sum())
    return max(law.prompt_batch(int(instance.prompt.sum())), law.token_batch(instance.n, kv))


def add_starts(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Starts: ``S_{b+1} ≥ S_b + D_b``; ``S_b ≥ a_i·x_{i,b}`` (S ≥ 0, so it needs no big-M).

    In a left-shifted schedule they are integers; where any start is offered they are declared so.
    """
    a = instance.arrival.tolist()
    last = model.BATCHES.last()
    times = pyo.NonNegativeIntegers if model.any_start else pyo.NonNegativeReals
    model.S = pyo.Var(model.BATCHES, domain=times, bounds=(0, None), doc="S_b: start of batch b")

    def in_order(model: pyo.ConcreteModel, b: int) -> object:
        if b == last:
            return pyo.Constraint.Skip
        return model.S[b] + model.D[b] - model.S[b + 1] <= 0

    def arrived(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return a[i] * model.x[i, b] - model.S[b] <= 0 if a[i] else pyo.Constraint.Skip

    model.in_order = pyo.Constraint(model.BATCHES, rule=in_order)
    model.arrived = pyo.Constraint(model.JOBS, rule=arrived)


def add_completions(
    model: pyo.ConcreteModel, instance: Instance, latest: IntArray, objective: str
) -> None:
    """Completion: ``c_i ≥ S_b + D_b − (E − e_i)·z_{i,b−1}``, between e_i and the latest of i.

    Until i is done it is waiting for the end of b. E = max latest is an upper bound on all ends
    (unused places end with the last batch), e_i = a_i + the time alone a lower one on c_i, so
    E − e_i is the smallest big-M that the data give. For the reward the same row with x_{i,b} and
    y_{i,b} holds for the accepted only: ``S_b + D_b ≤ latest_i + (E − latest_i)·(1 − x_{i,b} −
    y_{i,b})``.
    """
    earliest = (instance.arrival + times_alone(instance)).tolist()
    ends = latest.tolist()
    E = max(ends[i] for i in model.REQUESTS)

    def all_by_end(model: pyo.ConcreteModel, b: int) -> object:
        return model.S[b] + model.D[b] <= E

    model.all_by_end = pyo.Constraint(model.BATCHES, rule=all_by_end)
    if objective == "reward":

        def in_time(model: pyo.ConcreteModel, i: int, b: int) -> object:
            jobs = [(E - ends[i], model.x[i, b]), (E - ends[i], model.y[i, b])]
            return linear([(1, model.S[b]), (1, model.D[b]), *jobs], -E) <= 0

        model.in_time = pyo.Constraint(model.JOBS, rule=in_time)
        return
    model.c = pyo.Var(
        model.REQUESTS, bounds=lambda _, i: (earliest[i], ends[i]), doc="c_i: completion of i"
    )

    def completion(model: pyo.ConcreteModel, i: int, b: int) -> object:
        waived = scaled(earliest[i] - E, _before(model.z, i, b))
        return linear([(1, model.S[b]), (1, model.D[b]), *waived, (-1, model.c[i])]) <= 0

    model.completion = pyo.Constraint(model.JOBS, rule=completion)
