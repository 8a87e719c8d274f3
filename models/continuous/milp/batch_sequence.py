"""A sequence of batches with start times, for every law and limit (docs/model/continuous.md §2).

There are places b = 0 … B − 1 for batches; those that are not used come last and take no time.
p_{i,b} prompt tokens of i are read in place b, y_{i,b} = 1 iff it has a token job there, d_{i,b} =
1 iff its cache is dropped just before. e_{i,b} = 1 iff its prompt is complete at the end of b, by a
chunk in b, and R_{i,b} = 1 iff it is complete then. G_{i,b} counts the tokens emitted in places up
to b, K_{i,b} is the cache at the end of b, before requests that complete free theirs, and z_{i,b} =
1 only if i is complete then.
"""

from __future__ import annotations

import pyomo.environ as pyo

from ...completion_goal import add_completion_goal, servable
from ...durations import batch_durations
from ...errors import InputError
from ...instance import Instance, IntArray
from ...linear import linear
from .horizon import least_times_alone

Term = tuple[float, object]


#: Requests × batches of the largest model that is built, of some 5 million constraints.
MOST_PLACES = 100_000


def most_batches(instance: Instance, latest: IntArray) -> int:
    """Return B: a left-shifted optimal schedule has no more batches.

    From the first arrival to the latest completion there is room for no more than the shortest
    batch allows. No batch of one kind of item is empty; and if prompts are not read in chunks, each
    batch emits a token: then there are at most Σ o_i.

    Examples
    --------
    >>> import numpy as np
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, chunked_prefill=False)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[4, 2])
    >>> most_batches(instance, np.array([30, 30])), most_batches(instance, np.array([5, 4]))
    (6, 5)
    """
    law = batch_durations(instance)
    possible = servable(instance, latest, least_times_alone(instance))
    s = instance.prompt.tolist()
    shortest = min(law.prompt_batch(1), *(law.token_batch(1, s[i] + 1) for i in possible))
    span = max(int(latest[i]) for i in possible) - min(int(instance.arrival[i]) for i in possible)
    most: int = span // shortest
    if not instance.gpu.chunked_prefill:
        most = min(most, sum(int(instance.output[i]) for i in possible))
    return most


def add_batch_sequence(
    model: pyo.ConcreteModel, instance: Instance, latest: IntArray, objective: str
) -> None:
    """Add the formulation: its table of contents."""
    add_places(model, instance, latest)
    add_items(model, instance)
    add_caches(model, instance)
    add_prompts(model, instance)
    add_tokens(model, instance, optional=objective == "reward")
    add_limits(model, instance)
    add_batch_times(model, instance)
    add_starts(model, instance)
    add_completions(model, instance, latest, objective)
    add_completion_goal(model, instance, objective, lambda i: model.A[i])


def add_places(model: pyo.ConcreteModel, instance: Instance, latest: IntArray) -> None:
    """Add the places: ``u_b`` (used) and ``v_b ≤ u_b`` (has token jobs); ``u_{b+1} ≤ u_b``."""
    possible = servable(instance, latest, least_times_alone(instance))
    model.REQUESTS = pyo.Set(initialize=possible, doc="requests i")
    model.latest = latest.tolist()
    last = most_batches(instance, latest) - 1
    if len(possible) * (last + 1) > MOST_PLACES:
        raise InputError(
            f"formulation: expected at most {MOST_PLACES:,} requests × batches, found "
            f"{len(possible):,} × {last + 1:,}: this MILP is for tiny instances"
        )
    model.BATCHES = pyo.RangeSet(0, last, doc="places b for batches")
    model.ITEMS = model.REQUESTS * model.BATCHES
    model.u = pyo.Var(model.BATCHES, domain=pyo.Binary, doc="u_b: place b is used")
    model.v = pyo.Var(model.BATCHES, domain=pyo.Binary, doc="v_b: place b has token jobs")

    def unused_last(model: pyo.ConcreteModel, b: int) -> object:
        return pyo.Constraint.Skip if b == last else model.u[b + 1] <= model.u[b]

    def jobs_in_used(model: pyo.ConcreteModel, b: int) -> object:
        return model.v[b] <= model.u[b]

    model.unused_last = pyo.Constraint(model.BATCHES, rule=unused_last)
    model.jobs_in_used = pyo.Constraint(model.BATCHES, rule=jobs_in_used)


def add_items(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Add chunks and token jobs: ``x_{i,b} ≤ p_{i,b} ≤ P_i·x_{i,b}``, ``x + y ≤ u_b``, ``y ≤ v_b``.

    P_i = s_i + o_i − 1 is the longest that i's prompt gets, or C if that is less. A place with the
    mark of token jobs has one, ``v_b ≤ Σ_i y_{i,b}``: its intercept may be the smaller one.
    """
    longest = _longest_chunk(instance)
    model.x = pyo.Var(model.ITEMS, domain=pyo.Binary, doc="x_{i,b}: a chunk of i is in b")
    model.y = pyo.Var(model.ITEMS, domain=pyo.Binary, doc="y_{i,b}: a token job of i is in b")
    model.d = pyo.Var(model.ITEMS, domain=pyo.Binary, doc="d_{i,b}: i's cache is dropped before b")
    model.p = pyo.Var(
        model.ITEMS, domain=pyo.NonNegativeIntegers, bounds=lambda _, i, b: (0, longest[i]),
        doc="p_{i,b}: prompt tokens of i in b",
    )  # fmt: skip

    def not_empty(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.x[i, b] <= model.p[i, b]

    def chunk(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(1, model.p[i, b]), (-longest[i], model.x[i, b])]) <= 0

    def one_item(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.x[i, b] + model.y[i, b] <= model.u[b]

    def job_in_batch(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.y[i, b] <= model.v[b]

    def jobs_not_empty(model: pyo.ConcreteModel, b: int) -> object:
        return linear([(1, model.v[b]), *((-1, model.y[i, b]) for i in model.REQUESTS)]) <= 0

    def batch_not_empty(model: pyo.ConcreteModel, b: int) -> object:
        items = [(-1, each[i, b]) for i in model.REQUESTS for each in (model.x, model.y)]
        return linear([(1, model.u[b]), *items]) <= 0

    model.not_empty = pyo.Constraint(model.ITEMS, rule=not_empty)
    model.chunk = pyo.Constraint(model.ITEMS, rule=chunk)
    model.one_item = pyo.Constraint(model.ITEMS, rule=one_item)
    model.job_in_batch = pyo.Constraint(model.ITEMS, rule=job_in_batch)
    model.jobs_not_empty = pyo.Constraint(model.BATCHES, rule=jobs_not_empty)
    model.batch_not_empty = pyo.Constraint(model.BATCHES, rule=batch_not_empty)


def _longest_chunk(instance: Instance) -> list[int]:
    longest = (instance.peak - 1).tolist()
    C = instance.gpu.batch_tokens
    return longest if C is None else [min(C, each) for each in longest]


def _before(variable: pyo.Var, i: int, b: int, factor: float = 1) -> list[Term]:
    """A variable of the place before b, where there is one."""
    return [(factor, variable[i, b - 1])] if b else []


def add_caches(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Caches: ``K_{i,b} = K_{i,b−1} − f_{i,b} + p_{i,b} + y_{i,b}`` with f_{i,b} freed before b.

    Freed is what is held, ``f_{i,b} ≤ K_{i,b−1}``, and dropped, or of who is complete: ``f_{i,b} ≤
    H_i·(d_{i,b} + z_{i,b−1})``; a drop frees everything, ``K_{i,b−1} − f_{i,b} ≤ H_i·(1 −
    d_{i,b})``. H_i = s_i + o_i − 1 is the largest cache, so that neither asks anything where it is
    not meant.
    """
    largest, o = (instance.peak - 1).tolist(), instance.output.tolist()

    def up_to_largest(_: pyo.ConcreteModel, i: int, b: int) -> tuple[int, int]:
        return 0, largest[i]

    model.K = pyo.Var(model.ITEMS, bounds=up_to_largest, doc="K_{i,b}: cache of i at the end of b")
    model.f = pyo.Var(model.ITEMS, bounds=up_to_largest, doc="f_{i,b}: freed before b")
    model.z = pyo.Var(model.ITEMS, domain=pyo.Binary, doc="z_{i,b}: i is complete by the end of b")
    model.G = pyo.Var(
        model.ITEMS, bounds=lambda _, i, b: (0, o[i]), doc="G_{i,b}: tokens emitted up to b"
    )

    def cache(model: pyo.ConcreteModel, i: int, b: int) -> object:
        new = [(1, model.f[i, b]), (-1, model.p[i, b]), (-1, model.y[i, b])]
        return linear([(1, model.K[i, b]), *_before(model.K, i, b, -1), *new]) == 0

    def held(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(1, model.f[i, b]), *_before(model.K, i, b, -1)]) <= 0

    def freed(model: pyo.ConcreteModel, i: int, b: int) -> object:
        why = [(-largest[i], model.d[i, b]), *_before(model.z, i, b, -largest[i])]
        return linear([(1, model.f[i, b]), *why]) <= 0

    def dropped(model: pyo.ConcreteModel, i: int, b: int) -> object:
        left = [*_before(model.K, i, b), (-1, model.f[i, b])]
        return linear([*left, (largest[i], model.d[i, b])], -largest[i]) <= 0

    model.cache = pyo.Constraint(model.ITEMS, rule=cache, doc="defines K")
    model.held = pyo.Constraint(model.ITEMS, rule=held)
    model.freed = pyo.Constraint(model.ITEMS, rule=freed)
    model.dropped = pyo.Constraint(model.ITEMS, rule=dropped)


def add_prompts(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Prompts are complete when the cache is: ``K_{i,b} ≤ s_i + G_{i,b} − 1``, equal where e_{i,b}.

    A prompt of s_i + G_{i,b−1} tokens whose last chunk is in b emits a token, so that G_{i,b} is
    one more. It stays complete unless it is dropped, ``R_{i,b−1} − d_{i,b} ≤ R_{i,b} ≤ R_{i,b−1} +
    e_{i,b}``, ``e_{i,b} ≤ R_{i,b} ≤ 1 − d_{i,b} + e_{i,b}``, and then no more chunks are read:
    ``x_{i,b} ≤ 1 − R_{i,b−1} + d_{i,b}``. Without chunks each completes the prompt, ``x = e``.
    """
    s, largest = instance.prompt.tolist(), (instance.peak - 1).tolist()
    whole = not instance.gpu.chunked_prefill
    model.e = pyo.Var(model.ITEMS, domain=pyo.Binary, doc="e_{i,b}: i's prompt is complete in b")
    model.R = pyo.Var(model.ITEMS, domain=pyo.Binary, doc="R_{i,b}: i's prompt is complete")

    def at_most_all(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(1, model.K[i, b]), (-1, model.G[i, b])], 1 - s[i]) <= 0

    def complete(model: pyo.ConcreteModel, i: int, b: int) -> object:
        missing = [(1, model.G[i, b]), (-1, model.K[i, b])]
        return linear([*missing, (largest[i], model.e[i, b])], s[i] - 1 - largest[i]) <= 0

    def completing_chunk(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.x[i, b] == model.e[i, b] if whole else model.e[i, b] <= model.x[i, b]

    def stays(model: pyo.ConcreteModel, i: int, b: int) -> object:
        before = _before(model.R, i, b)
        return linear([*before, (-1, model.d[i, b]), (-1, model.R[i, b])]) <= 0

    def becomes(model: pyo.ConcreteModel, i: int, b: int) -> object:
        before = _before(model.R, i, b, -1)
        return linear([(1, model.R[i, b]), *before, (-1, model.e[i, b])]) <= 0

    def completed(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.e[i, b] <= model.R[i, b]

    def lost(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(1, model.R[i, b]), (1, model.d[i, b]), (-1, model.e[i, b])], -1) <= 0

    def not_read_yet(model: pyo.ConcreteModel, i: int, b: int) -> object:
        ready = [*_before(model.R, i, b), (-1, model.d[i, b])]
        return linear([(1, model.x[i, b]), *ready], -1) <= 0

    model.at_most_all = pyo.Constraint(model.ITEMS, rule=at_most_all)
    model.complete = pyo.Constraint(model.ITEMS, rule=complete)
    model.completing_chunk = pyo.Constraint(model.ITEMS, rule=completing_chunk)
    model.stays = pyo.Constraint(model.ITEMS, rule=stays)
    model.becomes = pyo.Constraint(model.ITEMS, rule=becomes)
    model.completed = pyo.Constraint(model.ITEMS, rule=completed)
    model.lost = pyo.Constraint(model.ITEMS, rule=lost)
    model.not_read_yet = pyo.Constraint(model.ITEMS, rule=not_read_yet)


def add_tokens(model: pyo.ConcreteModel, instance: Instance, *, optional: bool) -> None:
    """Tokens: ``G_{i,b} = G_{i,b−1} + e_{i,b} + y_{i,b}``; all of them, ``G_{i,B−1} = o_i``.

    A token job needs a complete prompt, ``y_{i,b} ≤ R_{i,b−1}``, ``y_{i,b} + d_{i,b} ≤ 1``.
    Complete is who has all tokens: ``o_i·z_{i,b} ≤ G_{i,b}``. `optional`: ``G_{i,B−1} = o_i·A_i``,
    with A_i whether i is accepted.
    """
    o, last = instance.output.tolist(), model.BATCHES.last()

    def emitted(model: pyo.ConcreteModel, i: int, b: int) -> object:
        new = [(-1, model.e[i, b]), (-1, model.y[i, b])]
        return linear([(1, model.G[i, b]), *_before(model.G, i, b, -1), *new]) == 0

    def prompt_first(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(1, model.y[i, b]), *_before(model.R, i, b, -1)]) <= 0

    def not_dropped(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.y[i, b] + model.d[i, b] <= 1

    def done(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return linear([(o[i], model.z[i, b]), (-1, model.G[i, b])]) <= 0

    def all_tokens(model: pyo.ConcreteModel, i: int) -> object:
        if optional:
            return linear([(1, model.G[i, last]), (-o[i], model.A[i])]) == 0
        return model.G[i, last] == o[i]

    if optional:
        model.A = pyo.Var(model.REQUESTS, domain=pyo.Binary, doc="A_i: i is accepted")
    model.emitted = pyo.Constraint(model.ITEMS, rule=emitted, doc="defines G")
    model.prompt_first = pyo.Constraint(model.ITEMS, rule=prompt_first)
    model.not_dropped = pyo.Constraint(model.ITEMS, rule=not_dropped)
    model.done = pyo.Constraint(model.ITEMS, rule=done)
    model.all_tokens = pyo.Constraint(model.REQUESTS, rule=all_tokens)


def add_limits(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Limits: tokens ``Σ_i (p + y)_{i,b} ≤ C``, seats ``Σ_i h_{i,b} ≤ B``, blocks ``Σ_i n_{i,b}``.

    ``K_{i,b} ≤ H_i·h_{i,b}`` says who holds a cache. In blocks of k tokens ``K_{i,b} ≤ k·n_{i,b}``
    with whole n, of which there are at most ⌊M/k⌋; for k = 1 n is K.
    """
    gpu, largest = instance.gpu, (instance.peak - 1).tolist()
    k = gpu.kv_block

    def batch_tokens(model: pyo.ConcreteModel, b: int) -> object:
        terms = [(1, each[i, b]) for i in model.REQUESTS for each in (model.p, model.y)]
        return linear(terms) <= gpu.batch_tokens

    def kv_capacity(model: pyo.ConcreteModel, b: int) -> object:
        held = model.K if k == 1 else model.n
        return linear([(1, held[i, b]) for i in model.REQUESTS]) <= gpu.kv_capacity // k

    def whole_blocks(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.K[i, b] <= k * model.n[i, b]

    def holds(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return model.K[i, b] <= largest[i] * model.h[i, b]

    def running_requests(model: pyo.ConcreteModel, b: int) -> object:
        return linear([(1, model.h[i, b]) for i in model.REQUESTS]) <= gpu.running_requests

    if gpu.batch_tokens is not None:
        model.batch_tokens = pyo.Constraint(model.BATCHES, rule=batch_tokens)
    if k > 1:
        model.n = pyo.Var(
            model.ITEMS, domain=pyo.NonNegativeIntegers,
            bounds=lambda _, i, b: (0, -(-largest[i] // k)), doc="n_{i,b}: blocks of i at the end",
        )  # fmt: skip
        model.whole_blocks = pyo.Constraint(model.ITEMS, rule=whole_blocks)
    model.kv_capacity = pyo.Constraint(model.BATCHES, rule=kv_capacity)
    if gpu.running_requests is not None:
        model.h = pyo.Var(model.ITEMS, domain=pyo.Binary, doc="h_{i,b}: i holds a cache")
        model.holds = pyo.Constraint(model.ITEMS, rule=holds)
        model.running_requests = pyo.Constraint(model.BATCHES, rule=running_requests)


def add_batch_times(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Batch time D_b, an integer: at least the law's quotient, so at the optimum rounded up.

    ``D_b ≥ (c0_prompt·(u_b − v_b) + c0·v_b + c1·Σ_i p_{i,b} + c2·Σ_i y_{i,b} + c3·Σ_i r_{i,b}) /
    divisor`` with the integers of `durations.Durations`. KV tokens read (for c3 > 0): ``r_{i,b} ≥
    s_i·y_{i,b} + G_{i,b−1} − o_i·(1 − y_{i,b})``. The big-M is the smallest that asks nothing of
    who has no token job, since G reaches o_i.
    """
    law = batch_durations(instance)
    s, o = instance.prompt.tolist(), instance.output.tolist()
    model.D = pyo.Var(model.BATCHES, domain=pyo.NonNegativeIntegers, doc="D_b: time of batch b")
    if law.per_kv_token:
        model.r = pyo.Var(model.ITEMS, bounds=(0, None), doc="r_{i,b}: KV tokens that i reads in b")

        def kv_read(model: pyo.ConcreteModel, i: int, b: int) -> object:
            terms = [(s[i] + o[i], model.y[i, b]), *_before(model.G, i, b), (-1, model.r[i, b])]
            return linear(terms, -o[i]) <= 0

        model.kv_read = pyo.Constraint(model.ITEMS, rule=kv_read)

    def batch_time(model: pyo.ConcreteModel, b: int) -> object:
        work: list[Term] = [(law.prompt, model.u[b]), (law.token - law.prompt, model.v[b])]
        for i in model.REQUESTS:
            work.append((law.per_prompt_token, model.p[i, b]))
            work.append((law.per_token_job, model.y[i, b]))
            if law.per_kv_token:
                work.append((law.per_kv_token, model.r[i, b]))
        used = [(size / law.divisor, variable) for size, variable in work if size]
        return linear([*used, (-1, model.D[b])]) <= 0

    model.batch_time = pyo.Constraint(model.BATCHES, rule=batch_time)


def add_starts(model: pyo.ConcreteModel, instance: Instance) -> None:
    """Starts: ``S_{b+1} ≥ S_b + D_b``; ``S_b ≥ a_i·x_{i,b}`` (S ≥ 0, so it needs no big-M).

    In a left-shifted schedule they are integers; where any start is offered they are declared so.
    """
    a, last = instance.arrival.tolist(), model.BATCHES.last()
    times = pyo.NonNegativeIntegers if model.any_start else pyo.NonNegativeReals
    model.S = pyo.Var(model.BATCHES, domain=times, bounds=(0, None), doc="S_b: start of batch b")

    def in_order(model: pyo.ConcreteModel, b: int) -> object:
        if b == last:
            return pyo.Constraint.Skip
        return linear([(1, model.S[b]), (1, model.D[b]), (-1, model.S[b + 1])]) <= 0

    def arrived(model: pyo.ConcreteModel, i: int, b: int) -> object:
        return a[i] * model.x[i, b] - model.S[b] <= 0 if a[i] else pyo.Constraint.Skip

    model.in_order = pyo.Constraint(model.BATCHES, rule=in_order)
    model.arrived = pyo.Constraint(model.ITEMS, rule=arrived)


def add_completions(
    model: pyo.ConcreteModel, instance: Instance, latest: IntArray, objective: str
) -> None:
    """Completions: ``c_i ≥ S_b + D_b − (E − e_i)·z_{i,b−1}`` for all b; all batches end by E.

    i is complete in b or later where it is not complete before b; otherwise ``c_i ≥ e_i``, its
    arrival and its least time alone, asks no more than what holds anyhow. For the reward an
    accepted request ends by its latest completion l_i: ``S_b + D_b ≤ l_i + (E − l_i)·(z_{i,b−1} + 1
    − A_i)``.
    """
    earliest = (instance.arrival + least_times_alone(instance)).tolist()
    ends = latest.tolist()
    E = max(ends[i] for i in model.REQUESTS)

    def all_by_end(model: pyo.ConcreteModel, b: int) -> object:
        return model.S[b] + model.D[b] <= E

    model.all_by_end = pyo.Constraint(model.BATCHES, rule=all_by_end)
    if objective == "reward":

        def in_time(model: pyo.ConcreteModel, i: int, b: int) -> object:
            late = E - ends[i]
            excuse = [*_before(model.z, i, b, -late), (late, model.A[i])]
            return linear([(1, model.S[b]), (1, model.D[b]), *excuse], -E) <= 0

        model.in_time = pyo.Constraint(model.ITEMS, rule=in_time)
        return
    model.c = pyo.Var(
        model.REQUESTS, bounds=lambda _, i: (earliest[i], ends[i]), doc="c_i: completion of i"
    )

    def completion(model: pyo.ConcreteModel, i: int, b: int) -> object:
        waived = _before(model.z, i, b, earliest[i] - E)
        return linear([(1, model.S[b]), (1, model.D[b]), *waived, (-1, model.c[i])]) <= 0

    model.completion = pyo.Constraint(model.ITEMS, rule=completion)
