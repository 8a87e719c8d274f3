"""What several exercises say of a total latency, and the instances that they share."""

from __future__ import annotations

from ...api import make, solve
from ...models.instance import Gpu, Instance
from ..runs import instance_of
from ..verdict import Verdict, right, wrong

#: The four requests of the first notebook: a long one, and three short ones that come later.
FOUR = instance_of(
    Gpu(kv_capacity=12),
    name="four requests",
    arrival=[0, 1, 1, 2],
    prompt=[4, 1, 2, 1],
    output=[6, 3, 4, 2],
    id=["long", "b", "c", "d"],
)

#: The two requests by hand of the second notebook.
TWO = instance_of(Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


def eight() -> Instance:
    """Return the eight requests of the second and third notebooks."""
    return make("arrival-model-1", seed=1, settings={"n": 8, "kv_capacity": 30})


def optimal(instance: Instance, *, model: str = "mixed", objective: str = "latency") -> float:
    """Return the proved optimum of a small instance; `solve` proves it, or this raises."""
    solution = solve(instance, model=model, objective=objective, time_limit=60).solution
    if solution.status != "optimal":
        raise RuntimeError(f"{instance.name}: not proved within a minute")
    return float(solution.objective)


def judge_total(found: float, wanted: float, *, right_because: str, above: str) -> Verdict:
    """Compare a total latency with the optimum: too small, too large, or right."""
    if found < wanted:
        return wrong(
            f"The total latency of {found:g} is below the proved bound: no schedule has it. Is "
            "every request counted, from its arrival to its last token?"
        )
    if found > wanted:
        return wrong(f"There is a schedule with less than {found:g}. {above}")
    return right(right_because)
