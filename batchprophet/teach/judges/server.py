"""Exercises of notebook 1: what an LLM server schedules."""

from __future__ import annotations

from typing import Any

from ...api import simulate
from ...models.errors import DoesNotFinish
from ...models.instance import Gpu, Instance
from ...online.mixed import REGISTRY
from ..answers import instance as read_instance
from ..answers import listed, names, number
from ..verdict import Verdict, exercise, right, wrong
from .optimum import FOUR, optimal

#: KV capacities of the second exercise.
CAPACITIES = range(10, 23, 2)

#: The policies that the notebook compares.
RULES = REGISTRY.by_default


def total(instance: Instance, policy: str) -> int | None:
    """Return a policy's total latency; None if it does not finish."""
    try:
        return int(simulate(instance, policy).metrics.total_latency)
    except DoesNotFinish:
        return None


@exercise("01.1", asks="a list with the names of the rules that are optimal")
def optimal_rules(answer: Any) -> Verdict:
    """Judge a set of rules by their simulated totals."""
    named = names(answer, RULES)
    later = FOUR.replace(arrival=[3, 1, 1, 2])
    best = optimal(later)
    totals = {name: total(later, name) for name in RULES}
    for name in sorted(named):
        if totals[name] is None:
            return wrong(f"{name} does not finish on this instance. Run it: what does it repeat?")
        if totals[name] != best:
            return wrong(
                f"{name} has a total latency of {totals[name]}, which is more than bp.solve "
                "proves possible. Look at its KV picture: who waits for whom?"
            )
    more = sum(each == best for each in totals.values()) - len(named)
    if more:
        return wrong(
            f"What you name is optimal, and {more} more of the rules are. Compare the total "
            "latency of every rule with the optimum."
        )
    return right(
        "The long request arrives last now: no foresight is needed to let the short ones pass."
    )


@exercise("01.2", asks="one KV capacity M, an even number from 10 to 22")
def capacity_from_which_fcfs_is_optimal(answer: Any) -> Verdict:
    """Judge a capacity: first come, first served is optimal there and above, and not below."""
    found = number(answer)
    if found not in CAPACITIES:
        return wrong(f"{found:g} is none of the capacities {', '.join(map(str, CAPACITIES))}.")
    fcfs_is_optimal = {}
    for M in CAPACITIES:
        larger = FOUR.replace(gpu=Gpu(kv_capacity=M))
        fcfs_is_optimal[M] = total(larger, "mc-benchmark") == optimal(larger)
    for M in CAPACITIES:
        if found <= M and not fcfs_is_optimal[M]:
            return wrong(
                f"At M = {M} first come, first served is not optimal. Draw its KV picture there: "
                "does a request wait?"
            )
    if found > min(CAPACITIES) and fcfs_is_optimal[int(found) - 2]:
        return wrong(f"It is optimal from {found:g} on, but at a smaller capacity already.")
    return right(
        "From there on no request waits, so the order does not matter. Below, some request waits, "
        "and the rule lets the wrong one wait."
    )


@exercise("01.3", asks="a bp.Instance of four requests that all arrive at 0")
def instance_on_which_mc_sf_is_not_optimal(answer: Any) -> Verdict:
    """Judge an instance by the policy's total and the proved optimum."""
    made = read_instance(answer)
    if made.n != 4 or made.arrival.any():
        return wrong(
            f"Your instance has {made.n} requests with arrivals {made.arrival.tolist()}; four at "
            "0 are asked for."
        )
    policy, best = total(made, "mc-sf"), optimal(made)
    if policy == best:
        return wrong(
            f"mc-sf is optimal on it: both totals are {policy}. Which request does mc-sf start "
            "first, and how many others does it keep waiting?"
        )
    return right(f"mc-sf has {policy}, and {best:g} is possible: the shortest output is not first.")


@exercise("01.4", asks="two numbers, the bound by area and the smallest makespan, in rounds")
def area_bound_and_makespan(answer: Any) -> Verdict:
    """Judge the bound by KV areas and the optimal makespan of the four requests at time 0."""
    bound, makespan = listed(answer, 2)
    s, o = FOUR.prompt, FOUR.output
    area = int((s * o + o * (o + 1) // 2).sum())
    M = FOUR.gpu.kv_capacity
    at_once = FOUR.replace(arrival=[0, 0, 0, 0])
    if bound != -(-area // M):
        if bound == area / M:
            return wrong("The bound may be rounded: a schedule ends after a whole round.")
        if bound == area:
            return wrong(f"{area} is the area in token-rounds. How many rounds supply it?")
        return wrong(
            f"{bound:g} is not the bound. The area of the long request is 4·6 + 6·7/2 = 45; add "
            "the others', and divide by what a round supplies."
        )
    if makespan < bound:
        return wrong(f"A makespan of {makespan:g} is below your own bound.")
    if makespan != optimal(at_once, objective="makespan"):
        return wrong(
            f"{makespan:g} is not the smallest makespan if all four arrive at 0. Solve with "
            'objective="makespan", after instance.replace(arrival=[0, 0, 0, 0]).'
        )
    return right(
        "The bound knows the areas only: neither shapes nor that a request cannot be split. So "
        "the makespan may lie above it."
    )
