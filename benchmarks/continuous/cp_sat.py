"""The hindsight optimum of continuous batching in CP-SAT: total latency, tiny instances.

The places, variables and constraints are those of the MILP (docs/model/continuous.md §2), with
implications in the place of its big-M, and exact products: the cache before batch b is 0 if it is
dropped there or the request is complete, and otherwise what it was; a token job reads
s_i + G_{i,b−1} tokens. Laws with one intercept and whole time units, caches not in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ortools.sat.python import cp_model

from batchprophet.models import Instance, batch_durations
from batchprophet.models.continuous import limits
from batchprophet.models.continuous.milp import latest_completions, most_batches

Var = cp_model.IntVar


@dataclass(slots=True)
class _Model:
    """A model under construction: the instance, its places, and what the GPU does in each."""

    instance: Instance
    places: int
    end: int
    cp: cp_model.CpModel = field(default_factory=cp_model.CpModel)
    used: list[Var] = field(default_factory=list)
    start: list[Var] = field(default_factory=list)
    finish: list[Var] = field(default_factory=list)
    tokens: list[list[cp_model.LinearExprT]] = field(default_factory=list)
    work: list[list[cp_model.LinearExprT]] = field(default_factory=list)
    caches: list[list[Var]] = field(default_factory=list)
    holds: list[list[Var]] = field(default_factory=list)
    members: list[list[Var]] = field(default_factory=list)

    def number(self, most: int, name: str) -> Var:
        """A variable from 0 on."""
        return self.cp.new_int_var(0, most, name)


def build(instance: Instance, known: int) -> tuple[cp_model.CpModel, int]:
    """The model of all schedules of total latency up to a known one, and Σ a_i."""
    latest = latest_completions(instance, "latency", value=known)
    places, offset = most_batches(instance, latest), int(instance.arrival.sum())
    model = _Model(instance, places, int(latest.max()))
    for b in range(places):
        model.used.append(model.cp.new_bool_var(f"u{b}"))
        model.start.append(model.number(model.end, f"S{b}"))
        model.finish.append(model.number(model.end, f"E{b}"))
        for rows in (model.tokens, model.work, model.caches, model.holds, model.members):
            rows.append([])
    completions = [_request(model, i) for i in range(instance.n)]
    _gpu(model)
    model.cp.add(sum(completions) <= known + offset)
    model.cp.minimize(sum(completions))
    return model.cp, offset


def _request(model: _Model, i: int) -> Var:
    """Chunks, token jobs, drops and the cache of request i; its completion."""
    cp, instance = model.cp, model.instance
    law, chunked = batch_durations(instance), limits(instance).chunked
    a, s, o = (int(column[i]) for column in (instance.arrival, instance.prompt, instance.output))
    completion = cp.new_int_var(a, model.end, f"c{i}")
    G: cp_model.LinearExprT = 0
    K: cp_model.LinearExprT = 0
    R, done = cp.new_constant(0), cp.new_constant(0)
    for b in range(model.places):
        p, kept, kv = (model.number(s + o, f"{x}{i},{b}") for x in ("p", "k", "r"))
        x, y, drop, last, ready, held = (
            cp.new_bool_var(f"{name}{i},{b}") for name in ("x", "y", "d", "e", "R", "h")
        )
        cache, emitted = model.number(s + o - 1, f"K{i},{b}"), model.number(o, f"G{i},{b}")
        complete = cp.new_bool_var(f"z{i},{b}")
        cp.add(p >= 1).only_enforce_if(x)
        cp.add(p == 0).only_enforce_if(~x)
        cp.add_bool_or(~x, ~y)
        # the cache
        cp.add(kept == 0).only_enforce_if(drop)
        cp.add(kept == 0).only_enforce_if(done)
        cp.add(kept == K).only_enforce_if(~drop, ~done)
        cp.add(cache == kept + p + y)
        cp.add(cache == s + G).only_enforce_if(last)
        cp.add(cache <= s + G - 1).only_enforce_if(x, ~last)
        # what may be done
        cp.add_implication(last, x)
        if not chunked:
            cp.add_implication(x, last)
        cp.add_implication(y, R)
        cp.add_implication(y, ~drop)
        cp.add_bool_or(~x, ~R, drop)
        for act in (x, y, drop):
            cp.add_implication(done, ~act)
            cp.add_implication(act, model.used[b])
        # the prompt is complete
        cp.add_implication(last, ready)
        cp.add_bool_or(~ready, R, last)
        cp.add_bool_or(~ready, ~drop, last)
        cp.add_bool_or(ready, ~R, drop)
        # tokens, and the end
        cp.add(emitted == G + last + y)
        cp.add(emitted == o).only_enforce_if(complete)
        cp.add(emitted <= o - 1).only_enforce_if(~complete)
        cp.add(completion >= model.finish[b]).only_enforce_if(complete, ~done)
        cp.add(model.start[b] >= a).only_enforce_if(x)
        cp.add(kv == s + G).only_enforce_if(y)
        cp.add(kv == 0).only_enforce_if(~y)
        cp.add(cache == 0).only_enforce_if(~held)
        model.tokens[b].append(p + y)
        model.work[b].append(
            (law.per_prompt_token * p + law.per_token_job * y + law.per_kv_token * kv)
            if law.divisor == 1
            else law.per_prompt_token // law.divisor * p
            + law.per_token_job // law.divisor * y
            + law.per_kv_token // law.divisor * kv
        )
        model.caches[b].append(cache)
        model.holds[b].append(held)
        model.members[b] += [x, y]
        G, K, R, done = emitted, cache, ready, complete
    cp.add(done == 1)
    return completion


def _gpu(model: _Model) -> None:
    """Limits, batch times, and the order of the batches."""
    cp, bounds, law = model.cp, limits(model.instance), batch_durations(model.instance)
    if law.prompt != law.token or bounds.block > 1 or any(c % law.divisor for c in law[:5]):
        raise ValueError("the model is for one intercept, whole time units, caches not in blocks")
    for b in range(model.places):
        cp.add(sum(model.tokens[b]) <= bounds.tokens)
        cp.add(sum(model.caches[b]) <= bounds.blocks)
        cp.add(sum(model.holds[b]) <= bounds.running)
        cp.add_bool_or(~model.used[b], *model.members[b])
        fixed = law.token // law.divisor * model.used[b]
        cp.add(model.finish[b] == model.start[b] + fixed + sum(model.work[b]))
        if b:
            cp.add_implication(model.used[b], model.used[b - 1])
            cp.add(model.start[b] >= model.finish[b - 1])


def solve(instance: Instance, known: int, seconds: float) -> tuple[int | None, int]:
    """The best total latency found up to a known one, None if none, and the lower bound."""
    model, offset = build(instance, known)
    solver = cp_model.CpSolver()
    solver.parameters.catch_sigint_signal = False  # it would leave none that Python knows
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    bound = max(0, int(-(-solver.best_objective_bound // 1)) - offset)
    return (int(solver.objective_value) - offset if found else None), bound
