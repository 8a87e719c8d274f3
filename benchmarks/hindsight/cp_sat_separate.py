"""The hindsight optimum of separate batching in CP-SAT: exact formulations, total latency.

Unit and constant law. The batches are as in S1 (docs/model/separate.md §2), at the same times: u_t
= 1 iff a prompt batch starts at t and v_t = 1 iff a token batch does, where t runs through the
times at which a left-shifted schedule may start one (`models.separate.network`); of the batches
that would be running at any one time at most one is there. The jobs are integers: S_{i,1} is the
start of i's prompt job and S_{i,g}, g = 2 … o_i, that of its token job that emits token g, with

    S_{i,2} ≥ S_{i,1} + τ_P,   S_{i,g+1} ≥ S_{i,g} + τ_D,   x_{i,g,t} = 1 iff S_{i,g} = t
    x_{i,1,t} ≤ u_t,   x_{i,g,t} ≤ v_t (g ≥ 2),   and no batch is empty
    Σ_i x_{i,1,t} ≤ B_P,   Σ_i s_i·x_{i,1,t} ≤ C_P,   Σ_{i, g ≥ 2} x_{i,g,t} ≤ B_D

i completes at C_i = S_{i,o_i} plus the time of its last batch. Request i holds s_i + 1 tokens from
the start of its prompt batch and one more from the start of each token batch that it is in, all
until C_i: so what is held at t is what the checker finds at the end of the batch that runs at t,
those who complete in it included. It is kept within M in one of these ways:

rows
    m_t = m_{t'} + Σ_i [(s_i + 1)·x_{i,1,t} + Σ_{g≥2} x_{i,g,t}] − Σ_i (s_i + o_i)·(i completes in
    (t', t]), 0 ≤ m_t ≤ M, with t' the time before t.
layers
    One interval per job, from S_{i,g} to C_i, with demand s_i + 1 for g = 1 and 1 for g ≥ 2, in one
    cumulative constraint of capacity M.

Objective: min Σ_i (C_i − a_i). The latest completions are those of the MILPs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cp_sat_search import Value, hinted_literal
from ortools.sat.python import cp_model

from batchprophet.models import Instance, IntArray
from batchprophet.models.separate import Kind, SeparateSchedule
from batchprophet.models.separate.milp import Windows, gpu_network, job_windows, left_shifted

#: A job: the request, and which of its tokens it emits (1 for the prompt job).
Job = tuple[int, int]

#: The start variable of each job.
Starts = Mapping[Job, cp_model.IntVar]


@dataclass(slots=True)
class _Model:
    """A model under construction.

    Attributes
    ----------
    times : dict of str to list of int
        Times at which a batch of each kind may start, increasing.
    hint : dict of Job to int
        The start of each job in the known schedule.
    start, at : dict
        S_{i,g}, and x_{i,g,t} by (i, g, t).
    """

    instance: Instance
    windows: Windows
    times: dict[Kind, list[int]]
    hint: dict[Job, int]
    cp: cp_model.CpModel = field(default_factory=cp_model.CpModel)
    start: dict[Job, cp_model.IntVar] = field(default_factory=dict)
    at: dict[tuple[int, int, int], cp_model.IntVar] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        outputs = self.instance.output.tolist()
        return [(i, g) for i, o in enumerate(outputs) for g in range(1, o + 1)]

    def batch_time(self, g: int) -> int:
        """Time of the batch that emits token g of a request."""
        return self.windows.prompt_time if g == 1 else self.windows.token_time

    def last(self, i: int) -> Job:
        """The job with which request i completes."""
        return i, int(self.instance.output[i])

    def completion(self, i: int) -> cp_model.LinearExprT:
        """C_i."""
        return self.start[self.last(i)] + self.batch_time(self.last(i)[1])

    def literal(self, name: str, hint: bool) -> cp_model.IntVar:
        """Return a new Boolean variable with its hint."""
        return hinted_literal(self.cp, name, hint)


def build(
    instance: Instance, latest: IntArray, warm_start: SeparateSchedule, formulation: str
) -> tuple[cp_model.CpModel, Starts]:
    """Build a model with the warm start as its complete hint.

    Parameters
    ----------
    instance : Instance
        The instance, under the unit or the constant law.
    latest : ndarray of int64, shape (n,)
        Latest completion of each request in at least one optimal left-shifted schedule.
    warm_start : SeparateSchedule
        A feasible left-shifted schedule.
    formulation : str
        One of `FORMULATIONS`.

    Returns
    -------
    CpModel, mapping of Job to IntVar
        The model, and the start variable of each job.
    """
    windows = job_windows(instance, latest)
    model = _Model(instance, windows, _times(instance, windows), _starts_in(warm_start))
    _add_jobs(model)
    _add_batches(model)
    FORMULATIONS[formulation](model)
    completions = [model.completion(i) for i in range(instance.n)]
    model.cp.minimize(sum(completions) - int(instance.arrival.sum()))
    return model.cp, model.start


def read(instance: Instance, starts: Starts, value: Value) -> SeparateSchedule:
    """Read the schedule off the start variables of `build`, each batch as early as may be."""
    members: dict[tuple[int, Kind], list[int]] = {}
    for (i, g), start in starts.items():
        members.setdefault((value(start), _kind(g)), []).append(i)
    batches = [(kind, tuple(sorted(found))) for (_, kind), found in sorted(members.items())]
    return left_shifted(instance, batches)


def _kind(g: int) -> Kind:
    """Kind of the batch that emits token g of a request."""
    return "prompt" if g == 1 else "token"


def _times(instance: Instance, windows: Windows) -> dict[Kind, list[int]]:
    arcs = gpu_network(instance, windows).edges(keys=True)
    return {
        "prompt": sorted(t for t, _, kind in arcs if kind == "prompt"),
        "token": sorted(t for t, _, kind in arcs if kind == "token"),
    }


def _starts_in(schedule: SeparateSchedule) -> dict[Job, int]:
    """Start of each job in a schedule."""
    starts: dict[Job, int] = {}
    tokens: dict[int, int] = {}
    for batch in schedule.batches:
        for i in batch.requests:
            tokens[i] = tokens.get(i, 0) + 1
            starts[i, tokens[i]] = batch.start
    return starts


def _add_jobs(model: _Model) -> None:
    """Add S_{i,g} and x_{i,g,t}, in windows that leave time for the jobs before and after."""
    first, latest = model.instance.arrival.tolist(), model.windows.latest.tolist()
    tau_P, tau_D = model.windows.prompt_time, model.windows.token_time
    for i, g in model.jobs:
        before = 0 if g == 1 else tau_P + (g - 2) * tau_D
        after = model.batch_time(g) + (model.last(i)[1] - g) * tau_D
        times = model.times[_kind(g)]
        window = [t for t in times if first[i] + before <= t <= latest[i] - after]
        domain = cp_model.Domain.from_values(window)
        start = model.cp.new_int_var_from_domain(domain, f"S{i}_{g}")
        model.start[i, g] = start
        model.cp.add_hint(start, model.hint[i, g])
        for t in window:
            x = model.at[i, g, t] = model.literal(f"x{i}_{g}_{t}", t == model.hint[i, g])
            model.cp.add(start == t).only_enforce_if(x)
            model.cp.add(start != t).only_enforce_if(~x)
        model.cp.add_exactly_one(model.at[i, g, t] for t in window)
        if g > 1:
            model.cp.add(start >= model.start[i, g - 1] + model.batch_time(g - 1))


def _add_batches(model: _Model) -> None:
    """Add u_t and v_t: one batch at a time, each with jobs, all jobs in one, within its limits."""
    gpu, s = model.instance.gpu, model.instance.prompt.tolist()
    jobs: dict[tuple[Kind, int], list[tuple[int, cp_model.IntVar]]] = {}
    for (i, g, t), x in model.at.items():
        jobs.setdefault((_kind(g), t), []).append((i, x))
    hinted = {(_kind(g), t) for (_, g), t in model.hint.items()}
    running: dict[int, list[cp_model.IntVar]] = {}
    every = sorted({*model.times["prompt"], *model.times["token"]})
    for (kind, t), members in jobs.items():
        batch = model.literal(f"{kind}{t}", (kind, t) in hinted)
        literals = [x for _, x in members]
        model.cp.add_bool_or([*literals, ~batch])
        for x in literals:
            model.cp.add_implication(x, batch)
        if kind == "prompt":
            _limit(model, literals, [1] * len(members), gpu.prompt_batch_requests)
            _limit(model, literals, [s[i] for i, _ in members], gpu.prompt_batch_tokens)
        else:
            _limit(model, literals, [1] * len(members), gpu.token_batch_requests)
        end = t + model.batch_time(1 if kind == "prompt" else 2)
        for then in every[bisect_left(every, t) : bisect_left(every, end)]:
            running.setdefault(then, []).append(batch)
    for batches in running.values():
        model.cp.add_at_most_one(batches)


def _limit(
    model: _Model, literals: list[cp_model.IntVar], sizes: list[int], limit: int | None
) -> None:
    if limit is not None and sum(sizes) > limit:
        model.cp.add(cp_model.LinearExpr.weighted_sum(literals, sizes) <= limit)


def _add_kv_rows(model: _Model) -> None:
    """Add m_t, the KV at the end of the batch that starts at t, by running sums."""
    M, s = model.instance.gpu.kv_capacity, model.instance.prompt.tolist()
    times = sorted({t for _, _, t in model.at})
    changes: dict[int, list[tuple[cp_model.IntVar, int]]] = {t: [] for t in times}
    hints = dict.fromkeys(times, 0)
    for (i, g, t), x in model.at.items():
        moves = [(t, s[i] + 1 if g == 1 else 1)]
        if (i, g) == model.last(i):
            position = bisect_left(times, t + model.batch_time(g))
            moves += [(then, -(s[i] + g)) for then in times[position : position + 1]]
        for then, tokens in moves:
            changes[then].append((x, tokens))
            hints[then] += tokens if model.hint[i, g] == t else 0
    before: cp_model.LinearExprT = 0
    held = 0
    for t in times:
        held += hints[t]
        m = model.cp.new_int_var(0, M, f"m{t}")
        model.cp.add_hint(m, held)
        literals, tokens = [x for x, _ in changes[t]], [size for _, size in changes[t]]
        model.cp.add(m == before + cp_model.LinearExpr.weighted_sum(literals, tokens))
        before = m


def _add_kv_layers(model: _Model) -> None:
    """Add an interval from each job's start to the completion: what it adds is held so long."""
    s, intervals, demands = model.instance.prompt.tolist(), [], []
    for i, g in model.jobs:
        last, start = model.last(i), model.start[i, g]
        own = model.batch_time(last[1])
        hint = model.hint[last] + own - model.hint[i, g]
        size = model.cp.new_int_var(own, int(model.windows.latest[i]), f"held{i}_{g}")
        model.cp.add_hint(size, hint)
        intervals.append(
            model.cp.new_interval_var(start, size, model.completion(i), f"layer{i}_{g}")
        )
        demands.append(s[i] + 1 if g == 1 else 1)
    model.cp.add_cumulative(intervals, demands, model.instance.gpu.kv_capacity)


#: How each formulation keeps the KV occupancy within M.
FORMULATIONS: Mapping[str, Callable[[_Model], None]] = MappingProxyType(
    {"rows": _add_kv_rows, "layers": _add_kv_layers}
)
