"""Linear expressions for Pyomo, built at once instead of term by term."""

from __future__ import annotations

from collections.abc import Iterable

from pyomo.core.expr.numeric_expr import LinearExpression


def linear(terms: Iterable[tuple[float, object]], constant: float = 0) -> LinearExpression:
    """Return ``Σ coefficient·variable + constant``.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var([1, 2])
    >>> print(linear([(3, model.x[1]), (-1, model.x[2])], 5))
    5 + 3*x[1] - x[2]
    """
    pairs = list(terms)
    return LinearExpression(
        constant=constant,
        linear_coefs=[coefficient for coefficient, _ in pairs],
        linear_vars=[variable for _, variable in pairs],
    )
