"""From the dual values of the LP relaxation to prices of memory, round by round."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from ....models.instance import FloatArray, Instance
from ...certificates.mixed.round_prices import RoundPriceProof
from ...matrix_form import MatrixForm

#: Prices are multiples of 1 / SCALE.
SCALE = 2**20


def round_prices(
    instance: Instance,
    objective: str,
    form: MatrixForm,
    row_duals: FloatArray,
    unit: Fraction = Fraction(1),
) -> RoundPriceProof:
    """Take the prices of the memory rows, and for the makespan the shares of the requests.

    In the dense form the price of round t is the dual value of its row ``memory[t]``; in the
    running-sum form it is what the bound ``m_t ≤ M`` is worth, the reduced cost of m_t. The share
    of request i is the dual value of ``done_by_end[i]``. Signs are those of a minimum; what has
    the wrong one is 0. Whatever the values, the prices prove what is recomputed from them.

    Parameters
    ----------
    instance, objective
        What the LP was built for.
    form : MatrixForm
        The LP.
    row_duals : ndarray of float64
        Its dual values, optimal or not.
    unit : Fraction
        Of the LP's objective: a price in it is as many times larger.
    """
    y = (-1.0 if form.maximise else 1.0) * row_duals
    cost = (-1.0 if form.maximise else 1.0) * form.cost
    reduced = cost - form.matrix.T @ y
    worth = dict(_values("memory", form.rows, -y))
    if any(_name(column) == "m" for column in form.columns):
        worth = dict(_values("m", form.columns, -reduced))
    last = max(worth, default=0)
    prices = [_whole(worth.get(t, 0.0), unit) for t in range(1, last + 1)]
    if objective != "makespan":
        return RoundPriceProof(scale=SCALE, first=1, prices=tuple(prices))
    share = dict(_values("done_by_end", form.rows, -y))
    shares = [_whole(share.get(i, 0.0), unit) for i in range(instance.n)]
    excess = sum(shares) - SCALE
    if excess > 0:  # by rounding: taken from the largest, which has it to spare
        largest = max(range(instance.n), key=shares.__getitem__)
        shares[largest] = max(0, shares[largest] - excess)
    return RoundPriceProof(scale=SCALE, first=1, prices=tuple(prices), shares=tuple(shares))


def _values(name: str, parts: Iterable[Any], values: FloatArray) -> Iterable[tuple[int, float]]:
    """Index and value of each part of one component."""
    for part, value in zip(parts, values.tolist(), strict=True):
        if _name(part) == name:
            yield part.index(), value


def _name(part: Any) -> str:
    return str(part.parent_component().local_name)


def _whole(value: float, unit: Fraction) -> int:
    return max(0, round(Fraction(value) * unit * SCALE)) if np.isfinite(value) else 0
