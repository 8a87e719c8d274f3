"""What completions cost under an objective, in integers: what verifiers of prices add up.

Total latency, weighted completion and tardiness are sums of costs of completions, and the reward
is what can be earned less a sum of rewards that are lost:

    cost_i(c) = 0 for c ≤ due_i,   fixed_i + rate_i·(c − due_i) beyond,     fixed_i, rate_i ≥ 0.

No cost falls with time, so some optimal schedule has no round after the last arrival in which
nothing runs, before all have completed that ever cost more: closing such a round up lets what
follows it start a round earlier. What costs nothing more however late it is may follow after that.
So nothing else completes after ``a_max + Σ o``, and where a request is not late by then its cost
counts as 0 for good.

Nothing here is shared with the search for good prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import due_times, latest_completion, value_step

#: Objectives that are sums over completions.
OBJECTIVES = ("latency", "weighted", "tardiness", "reward")


class Cost(NamedTuple):
    """cost_i of one request, in whole units."""

    due: int
    fixed: int
    rate: int

    def at(self, completion: int) -> int:
        """Return the cost of a completion."""
        late = completion - self.due
        return self.fixed + self.rate * late if late > 0 else 0

    @property
    def at_last(self) -> int | None:
        """The cost that it ends at however late, None where it rises for ever."""
        return None if self.rate else self.fixed

    def last_start(self, output: int) -> int:
        """Last start that costs less than what the cost ends at; −1 for none."""
        return self.due - output if self.fixed else -1


class Costs(NamedTuple):
    """All costs, in units of ``1 / scale`` steps of the objective.

    Attributes
    ----------
    each : tuple of Cost, length n
        Of each request.
    scale : int
        ≥ 1.
    step : Fraction
        The step (`models.objectives.value_step`): it divides all weights, or all rewards.
    earnable : Fraction or None
        For the reward what could be earned at most, of which costs are lost; None for sums.
    """

    each: tuple[Cost, ...]
    scale: int
    step: Fraction
    earnable: Fraction | None

    def value(self, total: int) -> Fraction:
        """Objective value of a total of costs, or bound of a bound."""
        amount = total * self.step / self.scale
        return amount if self.earnable is None else self.earnable - amount

    def total(self, value: Fraction | int) -> Fraction:
        """Return the total of costs of an objective value."""
        amount = Fraction(value) if self.earnable is None else self.earnable - value
        return amount * self.scale / self.step


def costs_of(instance: Instance, objective: str, scale: int) -> Costs:
    """Return the costs in units of ``1 / scale`` steps, all of them whole.

    Raises
    ------
    InputError
        If the objective is no such sum, or the instance lacks what it needs.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2], weight=[1, 0.5])
    >>> costs_of(instance, "weighted", 3)
    Costs(each=(Cost(due=0, fixed=0, rate=6), Cost(due=0, fixed=0, rate=3)), scale=3, \
step=Fraction(1, 2), earnable=None)
    """
    n = instance.n
    fixed, rate, earnable = [Fraction()] * n, [Fraction()] * n, None
    if objective == "latency":
        due, rate = instance.arrival.tolist(), [Fraction(1)] * n
    elif objective == "weighted":
        due, rate = [0] * n, _decimals(instance.weight.tolist())
    elif objective == "tardiness":
        due, rate = due_times(instance).tolist(), _decimals(instance.weight.tolist())
    elif objective == "reward":
        due, fixed = latest_completion(instance).tolist(), _decimals(instance.reward.tolist())
        earnable = sum(fixed, Fraction())
    else:
        raise InputError(f"objective: expected one of {OBJECTIVES}, found {objective!r}")
    step = value_step(instance, objective)
    end = last_completion(instance)
    each = tuple(
        Cost(d, int(scale * f / step), int(scale * r / step)) if d < end else Cost(d, 0, 0)
        for d, f, r in zip(due, fixed, rate, strict=True)
    )
    return Costs(each, scale, step, earnable)


def last_completion(instance: Instance) -> int:
    """``a_max + Σ o``: after it nothing completes that would cost less before."""
    return int(instance.arrival.max()) + sum(map(int, instance.output))


def _decimals(values: Sequence[float]) -> list[Fraction]:
    """Return coefficients as the decimals that they print as, as the objectives take them."""
    return [Fraction(repr(x)) for x in values]
