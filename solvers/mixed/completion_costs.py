"""Objectives as sums of what each completion costs, in integers for compiled code.

Total latency, weighted completion, tardiness and the reward that is lost are all

    Σ_i cost_i(c_i),     cost_i(c) = 0 for c ≤ due_i,   fixed_i + rate_i·(c − due_i) beyond,

with ``fixed, rate ≥ 0``: no cost falls with time. The total latency is due at the arrivals at rate
1, weighted completion at 0 at rate w_i, tardiness at the deadlines at rate w_i; a lost reward is
fixed at r_i, due at the latest completion that earns it. The makespan is no such sum, but it is at
most D iff the tardiness with rates 1 and all due at D is 0 (`makespan`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numba import njit

from ...models.instance import FloatArray, Instance, IntArray
from ...models.objectives import Exact, late_costs, latest_completion, value_step

#: Costs are integers in units of ``step / scale``; this is the largest scale.
FINEST_SCALE = 2**20

#: All costs of a schedule together stay below this; the scale is coarser where they would not.
MOST_COST = 2**52

#: Scales below this would round prices too much: such costs are not for the engine.
COARSEST_SCALE = 2**8


class CompletionCosts(NamedTuple):
    """What completions cost, in units of ``1 / scale`` steps of the objective.

    Its arrays can be written to whatever the objective: to compiled code others are another type.

    Attributes
    ----------
    due : ndarray of int64, shape (n,)
        Up to when a completion costs nothing.
    fixed : ndarray of int64, shape (n,)
        ≥ 0: what a completion after that costs whenever it is.
    rate : ndarray of int64, shape (n,)
        ≥ 0: what it costs for each round after that.
    scale : int
        Units to a step of the objective, a power of two.
    """

    due: IntArray
    fixed: IntArray
    rate: IntArray
    scale: int

    def of(self, completion: IntArray) -> int:
        """Total cost of completions, in units.

        Examples
        --------
        >>> from batchprophet.models.instance import Gpu
        >>> gpu = Gpu(kv_capacity=9)
        >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
        >>> costs = completion_costs(instance, "latency")
        >>> costs.of(np.array([4, 5])) // costs.scale
        7
        """
        late = completion > self.due
        return int((late * (self.fixed + self.rate * (completion - self.due))).sum())

    def per_round(self, output: IntArray) -> float:
        """What a round of a request is worth on average: the size of prices and of their steps."""
        worth = float(self.rate.mean() + self.fixed.mean() / output.mean())
        return max(1.0, worth)


def completion_costs(instance: Instance, objective: str) -> CompletionCosts | None:
    """Return an objective's costs; None where they would not fit 64 bits, or it is the makespan.

    What would not be late at the horizon ``a_max + Σ o``, by which all can be done, never is.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(
    ...     gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2], reward=[2, 4], horizon=5
    ... )
    >>> costs = completion_costs(instance, "reward")
    >>> (costs.fixed // costs.scale).tolist(), costs.due.tolist()  # in steps of 2
    ([1, 2], [5, 5])
    """
    step = value_step(instance, objective)
    if objective == "makespan":
        return None
    if objective == "latency":
        return latency_costs(instance)
    reward = objective == "reward"
    weight, due = (
        (instance.reward, latest_completion(instance))
        if reward
        else late_costs(instance, objective)
    )
    steps, nothing = _in_steps(weight, step), np.zeros(instance.n, dtype=np.int64)
    if steps is None:
        return None
    fixed, rate = (steps, nothing) if reward else (nothing, steps)
    end = int(instance.arrival.max()) + int(instance.output.sum())
    rounds = [max(0, end - d) for d in due.tolist()]
    largest = sum(f + r * t for f, r, t in zip(fixed.tolist(), rate.tolist(), rounds, strict=True))
    scale = FINEST_SCALE
    while scale > COARSEST_SCALE and largest * scale > MOST_COST:
        scale //= 2
    if largest * scale > MOST_COST:
        return None
    counts = np.array(rounds) > 0  # elsewhere it is never late
    return CompletionCosts(due.copy(), scale * fixed * counts, scale * rate * counts, scale)


def latency_costs(instance: Instance) -> CompletionCosts:
    """Return the costs of the total latency, of any size."""
    ones = np.ones(instance.n, dtype=np.int64)
    due = instance.arrival.copy()
    return CompletionCosts(due, 0 * ones, FINEST_SCALE * ones, FINEST_SCALE)


def by_deadline(instance: Instance, deadline: int) -> CompletionCosts:
    """Return costs that are 0 iff the makespan is at most a deadline: a step a round beyond it."""
    ones = np.ones(instance.n, dtype=np.int64)
    return CompletionCosts(deadline * ones, 0 * ones, FINEST_SCALE * ones, FINEST_SCALE)


def value_of(instance: Instance, objective: str, steps: Exact) -> Exact:
    """Objective value of a total cost in steps, or bound of a bound.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(
    ...     gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2], reward=[2, 4], horizon=5
    ... )
    >>> value_of(instance, "reward", 1)  # of 6, a step of 2 is lost
    4
    """
    value = steps * value_step(instance, objective)
    return _plain(_earnable(instance) - value if objective == "reward" else value)


def steps_of(instance: Instance, objective: str, value: Exact) -> Fraction:
    """Total cost, in steps, of an objective value: `value_of` the other way round."""
    lost = _earnable(instance) - value if objective == "reward" else value
    return Fraction(lost) / value_step(instance, objective)


def _earnable(instance: Instance) -> Fraction:
    return sum((Fraction(repr(r)) for r in instance.reward.tolist()), Fraction())


def _plain(value: Exact) -> Exact:
    return int(value) if value == int(value) else value


def _in_steps(values: FloatArray, step: Fraction) -> IntArray | None:
    """Coefficients in steps of the objective, which divides them; None beyond 2^52."""
    steps = [int(Fraction(repr(x)) / step) for x in values.tolist()]
    return None if max(steps) > MOST_COST else np.array(steps, dtype=np.int64)


@njit(cache=True, nogil=True)
def cost_at(costs: CompletionCosts, i: int, c: int) -> int:
    """cost_i(c)."""
    late = c - costs.due[i]
    cost: int = costs.fixed[i] + costs.rate[i] * late
    return cost if late > 0 else 0
