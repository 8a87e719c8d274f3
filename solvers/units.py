"""Objectives in a unit that a solver of floating-point numbers can tell from its tolerances.

The tolerances of HiGHS are absolute: beside weights of 1e15 they are nothing, beside weights of
1e-12 they are everything. So such an objective is divided by a unit before it is solved.
"""

from __future__ import annotations

from fractions import Fraction

from ..models.instance import Instance
from ..models.objectives import Exact, value_step
from .rounding import SLACK

#: Largest coefficients that are left as they are, and the largest where the step is the unit.
LEAST, MOST = 1e-3, 1e6

#: The largest coefficient in another unit is about this.
LARGE = 2**10

#: What an objective is made of; the others have coefficients that are times.
COLUMNS = {"weighted": "weight", "tardiness": "weight", "reward": "reward"}


def in_units(instance: Instance, objective: str) -> tuple[Instance, Fraction]:
    """Return the instance with its weights, or rewards, in a unit, and the unit.

    The unit is 1 for coefficients of ordinary size. Else it is the step of the objective, if the
    coefficients are not too large in it, or a power of two. Coefficients are rounded to floats: use
    the instance to build a model, and the true one to value a schedule.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0] * 2, prompt=[1] * 2, output=[1] * 2)
    >>> small, unit = in_units(instance.replace(weight=[3e-12, 5e-12]), "weighted")
    >>> small.weight.tolist(), unit == Fraction(1, 10**12)
    ([3.0, 5.0], True)
    """
    column = COLUMNS.get(objective)
    if column is None:
        return instance, Fraction(1)
    numbers = getattr(instance, column)
    largest = float(numbers.max())
    if largest == 0 or LEAST <= largest <= MOST:
        return instance, Fraction(1)
    exact = [Fraction(repr(number)) for number in numbers.tolist()]
    unit = value_step(instance, objective)
    if max(exact) > MOST * unit:
        unit = _power_of_two(max(exact)) / LARGE
    return instance.replace(**{column: [float(number / unit) for number in exact]}), unit


def out_of_units(bound: float, unit: Fraction, maximised: bool) -> Exact:
    """Return a solver's bound in the objective's own unit, moved by its tolerances for safety.

    Examples
    --------
    >>> out_of_units(5.0, Fraction(2), False)
    Fraction(999999, 100000)
    """
    exact = Fraction(bound)
    slack = SLACK * max(Fraction(1), abs(exact))
    return (exact + slack if maximised else exact - slack) * unit


def _power_of_two(number: Fraction) -> Fraction:
    """Return a power of two within a factor of two of a positive number."""
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    return Fraction(2**exponent) if exponent >= 0 else Fraction(1, 2**-exponent)
