"""What a schedule is judged by: latency, weighted completion, tardiness, makespan, reward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .errors import InputError
from .instance import FloatArray, Instance, IntArray

#: Integers up to here are floats of their own; beyond, a float stands for several decimals.
EXACT_FLOATS = 2**53

#: Objective values are exact: integers where the data are, fractions elsewhere.
Exact = int | Fraction


def total_latency(instance: Instance, completion: IntArray) -> int:
    """Total end-to-end latency ``Σ_i (c_i − a_i)`` (minimised)."""
    return exact_sum(completion - instance.arrival)


def exact_sum(values: IntArray) -> int:
    """Sum of 64-bit integers, exact also where it does not fit into 64 bits.

    Examples
    --------
    >>> exact_sum(np.array([2**62, 2**62, 2**62]))
    13835058055282163712
    """
    if values.size and max(-int(values.min()), int(values.max())) >= 2**62 // values.size:
        return sum(values.tolist())
    return int(values.sum())


def weighted_completion(instance: Instance, completion: IntArray) -> Exact:
    """Weighted completion ``Σ_i w_i·c_i`` (minimised)."""
    return _exact_dot(instance.weight, completion)


def weighted_tardiness(instance: Instance, completion: IntArray) -> Exact:
    """Weighted tardiness ``Σ_i w_i·max(0, c_i − deadline_i)`` (minimised).

    With deadlines a latency limit after the arrivals it counts the latency above the limit only:
    with limit 0 it is the total latency, with larger ones it looks at the tail.

    Raises
    ------
    InputError
        If the instance has no deadlines.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2], deadline=[3, 9]
    ... )
    >>> weighted_tardiness(instance, np.array([5, 7]))
    2
    """
    late = np.maximum(completion, due_times(instance)) - due_times(instance)
    return _exact_dot(instance.weight, late)


def due_times(instance: Instance) -> IntArray:
    """Return the deadlines, shape (n,); `instance.NO_DEADLINE` where a request has none.

    Raises
    ------
    InputError
        If the instance has no deadlines.
    """
    if instance.deadline is None:
        raise InputError(
            "deadline: the tardiness needs deadlines, found none in the instance "
            "(make and convert give every request one with --latency-limit)"
        )
    return instance.deadline


def with_latency_limit(instance: Instance, limit: int) -> Instance:
    """Return the instance with a deadline for each request, so long after its arrival.

    Parameters
    ----------
    instance : Instance
        The instance; deadlines that it has are replaced.
    limit : int
        ≥ 0, in the instance's time unit (microseconds under measured batch times).

    Raises
    ------
    InputError
        If the limit is negative or no integer.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> with_latency_limit(instance, 5).deadline.tolist()
    [5, 7]
    """
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 0:
        raise InputError(f"latency_limit: expected an integer ≥ 0, found {limit!r}")
    known = instance.provenance
    return instance.replace(
        deadline=[a + int(limit) for a in instance.arrival.tolist()],
        provenance=None if known is None else {**known, "latency_limit": int(limit)},
    )


class LateCosts(NamedTuple):
    """A minimised sum ``Σ_i w_i·max(0, c_i − due_i)``.

    Attributes
    ----------
    weight : ndarray of float64, shape (n,)
        w_i ≥ 0; a float means the decimal that it prints as.
    due : ndarray of int64, shape (n,)
        From when on time costs: the arrival, 0, or the deadline.
    """

    weight: FloatArray
    due: IntArray


def late_costs(instance: Instance, objective: str) -> LateCosts:
    """Return what total latency, weighted completion and tardiness have in common.

    Parameters
    ----------
    instance : Instance
        The instance.
    objective : {"latency", "weighted", "tardiness"}
        The objective.

    Raises
    ------
    InputError
        If it is another objective, or "tardiness" and the instance has no deadlines.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> late_costs(instance, "latency").due.tolist()
    [0, 2]
    """
    if objective == "latency":
        return LateCosts(np.ones(instance.n), instance.arrival)
    if objective == "weighted":
        return LateCosts(instance.weight, np.zeros(instance.n, np.int64))
    if objective == "tardiness":
        return LateCosts(instance.weight, due_times(instance))
    raise InputError(
        f"objective: expected latency, weighted or tardiness here, found {objective!r}"
    )


def makespan(instance: Instance, completion: IntArray) -> int:
    """Completion of the last request, ``max_i c_i`` (minimised)."""
    return int(completion.max())


def reward(instance: Instance, completion: IntArray) -> Exact:
    """Reward ``Σ_i r_i·1{c_i ≤ min(T, deadline_i)}`` of what is done in time (maximised)."""
    in_time = (completion <= latest_completion(instance)).astype(np.int64)
    return _exact_dot(instance.reward, in_time)


def admission_reward(instance: Instance, accepted: IntArray, completion: IntArray) -> Exact:
    """Reward of accepted requests, less the penalties of those that are late (maximised).

    ``Σ_{i accepted} (r_i·1{c_i ≤ min(T, deadline_i)} − penalty_i·1{c_i > min(T, deadline_i)})``; a
    rejected request earns nothing and costs nothing (docs/model/separate.md §1, admission version).

    Parameters
    ----------
    instance : Instance
        The instance; it has a horizon.
    accepted : ndarray of int64, shape (m,)
        The accepted requests, each once.
    completion : ndarray of int64, shape (m,)
        Their completions, in the same order.

    Raises
    ------
    InputError
        If the instance has no horizon.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 0, 0], prompt=[3, 1, 1], output=[4, 2, 2],
    ...     reward=[5, 2, 2], penalty=[1, 1, 1], horizon=4,
    ... )
    >>> admission_reward(instance, np.array([0, 1]), np.array([4, 7]))
    4
    """
    in_time = completion <= latest_completion(instance)[accepted]
    earned = _exact_dot(instance.reward[accepted], in_time.astype(np.int64))
    paid = _exact_dot(instance.penalty[accepted], (~in_time).astype(np.int64))
    return earned - paid


def latest_completion(instance: Instance) -> IntArray:
    """Latest completion that earns each request's reward, ``min(T, deadline_i)``, shape (n,).

    Raises
    ------
    InputError
        If the instance has no horizon.
    """
    if instance.horizon is None:
        raise InputError("horizon: the reward objective needs one, found none in the instance")
    limit = np.full(instance.n, instance.horizon, dtype=np.int64)
    return limit if instance.deadline is None else np.minimum(limit, instance.deadline)


def _exact_dot(coefficients: FloatArray, integers: IntArray) -> Exact:
    """Σ coefficient·integer without rounding; a coefficient means the decimal that it prints as."""
    numbers: list[float] = coefficients.tolist()
    pairs = zip(numbers, integers.tolist(), strict=True)
    if _all_small_integers(coefficients):
        return int(sum(int(c) * x for c, x in pairs))
    total = sum((Fraction(repr(c)) * x for c, x in pairs), Fraction(0))
    return int(total) if total.denominator == 1 else total


def _all_small_integers(coefficients: FloatArray) -> bool:
    """Whether all are integers that print exactly: 2^60 prints as 1.152921504606847e+18."""
    small = coefficients <= EXACT_FLOATS
    return bool(np.all(small & (coefficients == np.floor(coefficients))))


#: Objectives by their name on the command line and in files.
OBJECTIVES: Mapping[str, Callable[[Instance, IntArray], Exact]] = MappingProxyType(
    {
        "latency": total_latency,
        "weighted": weighted_completion,
        "tardiness": weighted_tardiness,
        "makespan": makespan,
        "reward": reward,
    }
)

#: Objectives that are maximised; the others are minimised.
MAXIMISED = frozenset({"reward"})


#: What `compare` judges schedules by, and no solver minimises (`service.SERVICE`).
JUDGED_ONLY = ("p99", "ttft", "goodput")


def require_objective(objective: str) -> None:
    """Refuse what is not one of `OBJECTIVES`.

    Raises
    ------
    InputError
        As said.
    """
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        hint = (
            f" (compare judges by {', '.join(JUDGED_ONLY)} too)" if objective in JUDGED_ONLY else ""
        )
        raise InputError(f"objective: expected one of {known}; found {objective!r}{hint}")


def is_defined(instance: Instance, objective: str) -> bool:
    """Whether the instance has what an objective needs: a horizon, deadlines, or nothing.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    >>> [name for name in OBJECTIVES if is_defined(instance, name)]
    ['latency', 'weighted', 'makespan']
    """
    try:
        require_defined(instance, objective)
    except InputError:
        return False
    return True


def require_defined(instance: Instance, objective: str) -> None:
    """Refuse an instance that has not what an objective needs.

    Raises
    ------
    InputError
        As said: a horizon for the reward, deadlines for the tardiness.
    """
    if objective == "reward":
        latest_completion(instance)
    if objective == "tardiness":
        due_times(instance)


def evaluate(instance: Instance, completion: IntArray, objective: str = "latency") -> Exact:
    """Value of a schedule's completions under a named objective, in exact arithmetic.

    Parameters
    ----------
    instance : Instance
        The instance.
    completion : ndarray of int64, shape (n,)
        Completion of each request.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.

    Returns
    -------
    int or Fraction
        The value; an integer where it is one.

    Raises
    ------
    InputError
        If the objective is unknown, "reward" and the instance has no horizon, or "tardiness" and
        it has no deadlines.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> evaluate(instance, np.array([4, 4]))
    6
    """
    require_objective(objective)
    return OBJECTIVES[objective](instance, completion)


def value_step(instance: Instance, objective: str) -> Fraction:
    """Step of the objective: its optimum is a multiple of it, so bounds round to it.

    Completions are integers, so ``Σ w_i·c_i``, tardiness and a sum of rewards are multiples of the
    greatest common divisor of the weights, or rewards, as decimals. (Penalties are not counted: no
    optimum pays one, for a schedule without the late request is feasible and better.)

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0], prompt=[3], output=[4], weight=[0.5])
    >>> value_step(instance, "latency"), value_step(instance, "weighted")
    (Fraction(1, 1), Fraction(1, 2))
    """
    coefficients = {
        "weighted": instance.weight, "tardiness": instance.weight, "reward": instance.reward
    }.get(objective)  # fmt: skip
    if coefficients is None or not coefficients.any():
        return Fraction(1)
    exact = [Fraction(repr(c)) for c in set(coefficients.tolist())]
    scale = math.lcm(*(number.denominator for number in exact))
    return Fraction(math.gcd(*(int(number * scale) for number in exact)), scale)
