"""What a schedule is judged by: total latency, weighted completion, makespan, reward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType

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
        "makespan": makespan,
        "reward": reward,
    }
)

#: Objectives that are maximised; the others are minimised.
MAXIMISED = frozenset({"reward"})


def require_objective(objective: str) -> None:
    """Refuse what is not one of `OBJECTIVES`.

    Raises
    ------
    InputError
        As said.
    """
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise InputError(f"objective: expected one of {known}; found {objective!r}")


def evaluate(instance: Instance, completion: IntArray, objective: str = "latency") -> Exact:
    """Value of a schedule's completions under a named objective, in exact arithmetic.

    Parameters
    ----------
    instance : Instance
        The instance.
    completion : ndarray of int64, shape (n,)
        Completion of each request.
    objective : {"latency", "weighted", "makespan", "reward"}
        The objective.

    Returns
    -------
    int or Fraction
        The value; an integer where it is one.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.

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

    Completions are integers, so ``Σ w_i·c_i`` and a sum of rewards are multiples of the greatest
    common divisor of the weights, or rewards, as decimals. (Penalties are not counted: no optimum
    pays one, for a schedule without the late request is feasible and better.)

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0], prompt=[3], output=[4], weight=[0.5])
    >>> value_step(instance, "latency"), value_step(instance, "weighted")
    (Fraction(1, 1), Fraction(1, 2))
    """
    coefficients = {"weighted": instance.weight, "reward": instance.reward}.get(objective)
    if coefficients is None or not coefficients.any():
        return Fraction(1)
    exact = [Fraction(repr(c)) for c in set(coefficients.tolist())]
    scale = math.lcm(*(number.denominator for number in exact))
    return Fraction(math.gcd(*(int(number * scale) for number in exact)), scale)
