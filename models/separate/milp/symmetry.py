"""Symmetry breaking: among schedules that differ in names only, one is kept."""

from __future__ import annotations

from itertools import pairwise

import pyomo.environ as pyo

from ...instance import Instance
from ...linear import linear
from .request_types import request_types
from .time_expanded import Term, minus, started


def add_equal_requests(model: pyo.ConcreteModel, instance: Instance, objective: str) -> None:
    """Of equal requests the one that arrived first is never behind (S1 by request, S2).

    ``X_{i,t} ≥ X_{j,t}`` and ``Y_{i,t} ≥ Y_{j,t}`` for i before j in a type (`types`: a_i ≤ a_j) at
    all t. Proof: take the first batch after which j has more tokens than i. Before it they have
    equally many, so i could take part in it as well: it has arrived, since j has (a prompt batch),
    or its prompt has been read, since j's has. Exchange i and j in this and all later batches:
    compositions, batch times and KV do not change by names, the two completions are exchanged, and
    no objective tells them apart. The first such batch is now a later one, so after finitely many
    exchanges there is none; for several requests of a type, do so at each batch in turn, sorting
    all of them. Tokens are X + Y, and a request without its prompt has none, so the order of tokens
    gives both rows. Completions stay within the latest ones of `horizon` with a known value, which
    hold in every schedule of that value.
    """
    if model.formulation in ("stages", "classes"):
        return
    sequence = model.formulation == "batch-sequence"
    members = set(model.REQUESTS)
    pairs = [
        pair
        for group in request_types(instance, objective)
        for pair in pairwise([i for i in group if i in members])
    ]
    rows = []
    for i, j in pairs:
        for name in ("X", "Y"):
            of_j = [t for k, t in getattr(model, name) if k == j]
            rows += [(name, i, j, t) for t in of_j]
    model.EQUAL = pyo.Set(dimen=4, initialize=rows, doc="(X or Y, i, j, t): i before j at t")

    def by(name: str, i: int, t: int) -> list[Term]:
        return [(1, getattr(model, name)[i, t])] if sequence else started(model, name, i, t)

    def never_behind(model: pyo.ConcreteModel, name: str, i: int, j: int, t: int) -> object:
        return linear([*by(name, j, t), *minus(by(name, i, t))]) <= 0

    model.never_behind = pyo.Constraint(model.EQUAL, rule=never_behind)
