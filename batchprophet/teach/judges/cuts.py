"""Exercises of notebook 3: why the LP is weak, and what a cut does."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

import pyomo.environ as pyo

from ...models.instance import Gpu, Instance
from ...models.mixed.conflict_graph import conflict_graph
from ...models.mixed.milp import build_model, latest_starts
from ...solvers import solve_model
from ...solvers.mixed.bounds import violated_cliques
from ..answers import listed, near, number
from ..runs import instance_of, optimum_of
from ..verdict import Verdict, exercise, right, wrong
from .optimum import eight, optimal

#: The most rounds of cuts.
MOST_ROUNDS = 20


def three(kv_capacity: int) -> Instance:
    """Return the three equal requests by hand, with some KV capacity."""
    gpu = Gpu(kv_capacity=kv_capacity)
    return instance_of(gpu, arrival=[0] * 3, prompt=[2] * 3, output=[2] * 3)


@cache
def clique_bound(kv_capacity: int) -> float:
    """Return the LP bound of the three requests once no clique is violated."""
    wider = three(kv_capacity)
    latest = latest_starts(wider, value=int(optimal(wider)))
    graph = conflict_graph(wider, latest)
    model = build_model(wider, formulation="dense", latest=latest)
    model.cuts = pyo.ConstraintList()
    for _ in range(MOST_ROUNDS):
        relaxed = solve_model(model, relax=True)
        found = violated_cliques(graph, {start: relaxed.value(model.x[start]) for start in graph})
        if not found:
            break
        for clique in found:
            model.cuts.add(sum(model.x[start] for start in clique) <= 1)
    return optimum_of(model, relax=True)


@exercise("03.1", asks="three numbers, a point (x_1, x_2, x_3) on the triangle")
def point_between_edges_and_clique(answer: Any) -> Verdict:
    """Judge a point: it must obey the three edges, and violate the clique."""
    x = listed(answer, 3)
    outside = [value for value in x if not 0 <= value <= 1]
    if outside:
        return wrong(f"{outside[0]:g} is not between 0 and 1.")
    for i, j in combinations(range(3), 2):
        if x[i] + x[j] > 1 + 1e-9:
            return wrong(
                f"It violates the edge of {i + 1} and {j + 1}: {x[i]:g} + {x[j]:g} > 1. The edges "
                "alone would cut it off."
            )
    if sum(x) <= 1 + 1e-9:
        return wrong(
            f"It obeys the clique as well: the sum is {sum(x):g}. Give each as much as its edges "
            "allow."
        )
    return right(
        f"All three edges hold, and the clique does not: the sum is {sum(x):g}. So the clique "
        "cuts off what its edges leave."
    )


@exercise(
    "03.2", asks="two numbers, how far the bound with cliques is from the optimum at M = 8, 10"
)
def distance_of_the_clique_bound(answer: Any) -> Verdict:
    """Judge two distances by the bounds after all rounds of cliques."""
    found = listed(answer, 2)
    for M, distance in zip((8, 10), found, strict=True):
        if near(distance, clique_bound(M)) or near(distance, optimal(three(M))):
            return wrong(f"For M = {M}: the difference of optimum and bound is asked for.")
        if not near(distance, optimal(three(M)) - clique_bound(M)):
            return wrong(
                f"For M = {M} the distance is not {distance:g}. Run clique_rounds with the optimum "
                "of bp.solve as its value; do any two starts of different requests conflict?"
            )
    return right(
        "Where any two requests fit together there is no conflict, so no clique cuts: the bound "
        "is that of the LP, which is tight for one capacity by luck and not for the other."
    )


@exercise("03.3", asks="one number, the LP bound with a known schedule of 112 minus that with 130")
def gain_of_an_earlier_horizon(answer: Any) -> Verdict:
    """Judge the difference of two LP bounds."""
    found = number(answer)
    instance = eight()
    low, high = (
        optimum_of(build_model(instance, latest=latest_starts(instance, value=z)), relax=True)
        for z in (130, 112)
    )
    if near(found, high):
        return wrong("That is the bound itself; by how much has it risen?")
    if not near(found, high - low):
        return wrong(
            "The two bounds differ by another amount. Build the model with latest=latest_starts("
            "instance, value=…), once for each value, and relax it."
        )
    return right("Late starts are of no use to this LP; leaving them out makes it smaller only.")


@exercise("03.4", asks="two numbers, the right-hand side of the cut and the bound that it proves")
def cover(answer: Any) -> Verdict:
    """Judge a right-hand side for three runs in one round, and the bound with it in all rounds."""
    side, bound = listed(answer, 2)
    wider = three(10)
    if side < 2:
        return wrong(
            f"x_1 + x_2 + x_3 ≤ {side:g} forbids two runs in a round, which fit: it would lose "
            "schedules."
        )
    if side >= 3:
        return wrong(f"x_1 + x_2 + x_3 ≤ {side:g} is always true: nothing is cut off.")
    if side != 2:
        return wrong(f"Schedules are integers: {side:g} may be rounded down.")
    covered = build_model(wider, formulation="dense", latest=latest_starts(wider))
    covered.cuts = pyo.ConstraintList()
    for t in covered.ROUNDS:
        if running := [(i, k) for i, k in covered.x if k < t <= k + 2]:
            covered.cuts.add(sum(covered.x[each] for each in running) <= 2)
    if not near(bound, optimum_of(covered, relax=True)):
        return wrong(
            f"The cut is right, and the bound is not {bound:g}. Add it for the runs of every round "
            "of the model, and keep all starts that an optimal schedule may have."
        )
    return right(
        "A cover inequality: its right-hand side is 2, so it is no clique. In every round it "
        "proves the optimum."
    )
