"""The hindsight optimum of mixed batching in CP-SAT: exact formulations, total latency.

A request is an interval of fixed size o_i whose start S_i ∈ [a_i, L_i] is an integer variable; its
KV occupancy is a wedge, s_i + 1 tokens in its first round and s_i + o_i in its last. Cumulative
constraints know constant demands only, so the wedge is said in one of these ways, all exact:

steps
    o_i intervals of one round, the j-th at S_i + j − 1 with demand s_i + j, in one cumulative
    constraint of capacity M.
layers
    One interval of o_i rounds with demand s_i + 1, and for j = 2 … o_i one of demand 1 over the
    rounds j … o_i of the run: stacked, they are the wedge. One cumulative constraint of capacity M.
completions
    Memory is checked where it is largest, at completions (model/mixed.md §3). For each ordered pair
    i ≠ j exactly one of three literals holds: i is done before C_j, starts at C_j or later, or
    runs in round C_j; then h_ij ≥ s_i + C_j − S_i. For each j: Σ_i h_ij + s_j + o_j ≤ M.
completions+layers
    Both; the cumulative constraint is redundant but propagates energy.
starts
    A literal per start, as in the MILP: S_i is the one that holds, and the dense memory rows.

Objective: min Σ_i (S_i + o_i − a_i). The latest starts L_i are those of the MILP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cp_sat_search import Value, hinted_literal
from ortools.sat.python import cp_model

from batchprophet.models import Instance, IntArray
from batchprophet.models.errors import InputError
from batchprophet.models.mixed import MixedSchedule
from batchprophet.models.mixed.problem import is_limited


@dataclass(slots=True)
class _Model:
    """A model under construction: the start variables, and the value of each variable's hint."""

    instance: Instance
    earliest: list[int]
    latest: list[int]
    hint: list[int]
    cp: cp_model.CpModel = field(default_factory=cp_model.CpModel)
    start: list[cp_model.IntVar] = field(default_factory=list)

    def __post_init__(self) -> None:
        for i in range(self.instance.n):
            S = self.cp.new_int_var(self.earliest[i], self.latest[i], f"S{i}")
            self.start.append(S)
            self.cp.add_hint(S, self.hint[i])

    @property
    def prompt(self) -> list[int]:
        return [int(s) for s in self.instance.prompt]

    @property
    def output(self) -> list[int]:
        return [int(o) for o in self.instance.output]

    def literal(self, name: str, hint: bool) -> cp_model.IntVar:
        """Return a new Boolean variable with its hint."""
        return hinted_literal(self.cp, name, hint)


def build(
    instance: Instance, latest: IntArray, warm_start: MixedSchedule, formulation: str
) -> tuple[cp_model.CpModel, list[cp_model.IntVar]]:
    """Build a model with the warm start as its hint.

    Parameters
    ----------
    instance : Instance
        The instance (unit-time law; limits on a round are refused: no formulation has them).
    latest : ndarray of int64, shape (n,)
        Latest start of each request in at least one optimal schedule.
    warm_start : MixedSchedule
        A feasible schedule without evictions.
    formulation : str
        One of `FORMULATIONS`.

    Returns
    -------
    CpModel, list of IntVar
        The model, and the start variable of each request.
    """
    if is_limited(instance):
        raise InputError(f"cp_sat: drop the limits on a round from {instance.name!r}")
    model = _Model(instance, instance.arrival.tolist(), latest.tolist(), warm_start.start.tolist())
    FORMULATIONS[formulation](model)
    constant = int((instance.output - instance.arrival).sum())
    model.cp.minimize(sum(model.start) + constant)
    return model.cp, model.start


def read(start: list[cp_model.IntVar], value: Value) -> MixedSchedule:
    """Read the schedule off the start variables of `build`."""
    return MixedSchedule([value(S) for S in start])


def _add_steps(model: _Model) -> None:
    """Wedge as unit intervals: the j-th round of the run has demand s_i + j."""
    intervals, demands = [], []
    for i, (s, o) in enumerate(zip(model.prompt, model.output, strict=True)):
        for j in range(1, o + 1):
            begin = model.start[i] + (j - 1)
            intervals.append(model.cp.new_fixed_size_interval_var(begin, 1, f"run{i}_{j}"))
            demands.append(s + j)
    model.cp.add_cumulative(intervals, demands, model.instance.gpu.kv_capacity)


def _add_layers(model: _Model) -> None:
    """Wedge as a stack: s_i + 1 tokens all through, one token more from each round on."""
    intervals, demands = [], []
    for i, (s, o) in enumerate(zip(model.prompt, model.output, strict=True)):
        for j in range(1, o + 1):
            begin, size = model.start[i] + (j - 1), o - j + 1
            intervals.append(model.cp.new_fixed_size_interval_var(begin, size, f"layer{i}_{j}"))
            demands.append(s + 1 if j == 1 else 1)
    model.cp.add_cumulative(intervals, demands, model.instance.gpu.kv_capacity)


def _add_completions(model: _Model) -> None:
    """Memory at each completion C_j, the request j included."""
    M, n, peak = model.instance.gpu.kv_capacity, model.instance.n, model.instance.peak.tolist()
    for j in range(n):
        held = [_held_at_completion(model, i, j) for i in range(n) if i != j]
        model.cp.add(sum(held) <= M - peak[j])


def _held_at_completion(model: _Model, i: int, j: int) -> cp_model.IntVar:
    """h_ij, tokens that i holds in round C_j."""
    s, o, S, hint = model.prompt[i], model.output, model.start, model.hint
    C_i, C_j = S[i] + o[i], S[j] + o[j]
    begins, ends, round_ = hint[i], hint[i] + o[i], hint[j] + o[j]
    alive = begins < round_ <= ends
    h = model.cp.new_int_var(0, s + o[i], f"h{i}_{j}")
    model.cp.add_hint(h, s + round_ - begins if alive else 0)
    done = model.literal(f"done{i}_{j}", ends < round_)
    later = model.literal(f"later{i}_{j}", begins >= round_)
    runs = model.literal(f"runs{i}_{j}", alive)
    model.cp.add_exactly_one(done, later, runs)
    model.cp.add(C_i <= C_j - 1).only_enforce_if(done)
    model.cp.add(S[i] >= C_j).only_enforce_if(later)
    model.cp.add(h >= s + C_j - S[i]).only_enforce_if(runs)
    return h


def _add_completions_and_layers(model: _Model) -> None:
    _add_completions(model)
    _add_layers(model)


def _add_starts(model: _Model) -> None:
    """``Σ_t x_{i,t} = 1``, ``S_i = Σ_t t·x_{i,t}`` and the dense memory row of every round."""
    s, o = model.prompt, model.output
    last = max(late + size for late, size in zip(model.latest, o, strict=True))
    tokens: list[list[int]] = [[] for _ in range(last + 1)]
    running: list[list[cp_model.IntVar]] = [[] for _ in range(last + 1)]
    for i, S in enumerate(model.start):
        window = range(model.earliest[i], model.latest[i] + 1)
        x = {k: model.literal(f"x{i}_{k}", k == model.hint[i]) for k in window}
        model.cp.add_exactly_one(x.values())
        model.cp.add(sum(k * x[k] for k in window) == S)
        for k in window:
            for t in range(k + 1, k + o[i] + 1):
                tokens[t].append(s[i] + t - k)
                running[t].append(x[k])
    for held, literals in zip(tokens, running, strict=True):
        if literals:
            total = cp_model.LinearExpr.weighted_sum(literals, held)
            model.cp.add(total <= model.instance.gpu.kv_capacity)


#: How each formulation keeps the KV occupancy within M.
FORMULATIONS: Mapping[str, Callable[[_Model], None]] = MappingProxyType(
    {
        "steps": _add_steps,
        "layers": _add_layers,
        "completions": _add_completions,
        "completions+layers": _add_completions_and_layers,
        "starts": _add_starts,
    }
)
