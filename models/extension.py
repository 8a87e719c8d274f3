"""Constraints that a caller adds to a MILP: what they may change, and whether they are obeyed.

A formulation with constraints added has fewer solutions. So a bound on the optimum of the instance
still holds, as long as nothing of the formulation is taken away: `extended` refuses that. And
whether a schedule obeys the constraints is not asked of the solver: `Extension.broken` evaluates
them at the values that the schedule gives to the variables, in exact arithmetic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyomo.environ as pyo
from pyomo.core.base.component import ActiveComponent
from pyomo.core.expr.visitor import identify_variables
from pyomo.repn import generate_standard_repn

from .errors import InputError

#: Adds constraints to a model.
Extend = Callable[[pyo.ConcreteModel], None]

#: By how much a constraint with fractions may be violated, relative to its size: floating point.
TOLERANCE = Fraction(1, 10**6)

#: What may be added. The rest (logical constraints, disjunctions, special ordered sets) is no
#: linear constraint, and a solver of MILPs would not see all of it.
ADDABLE = (pyo.Constraint, pyo.Var, pyo.Set, pyo.RangeSet, pyo.Param, pyo.Expression, pyo.Block)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extension:
    """What was added to a model.

    Attributes
    ----------
    constraints : tuple of ConstraintData
        The constraints, each a row.
    variables : tuple of VarData
        Variables of the caller's own.
    fixed : mapping of str to (VarData, value)
        Variables of the formulation that were fixed, by name.
    narrowed : tuple of (VarData, lower, upper)
        Those whose bounds were moved inwards, with the new ones.
    """

    constraints: tuple[Any, ...]
    variables: tuple[Any, ...]
    fixed: Mapping[str, tuple[Any, float]]
    narrowed: tuple[tuple[Any, float | None, float | None], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the constraints, each with all its rows, as in the model."""
        found = dict.fromkeys(row.parent_component().name for row in self.constraints)
        return (*found, *self.fixed, *(variable.name for variable, _, _ in self.narrowed))

    @property
    def rows(self) -> int:
        """How many rows, fixed variables and new bounds there are."""
        return len(self.constraints) + len(self.fixed) + len(self.narrowed)

    def broken(self) -> str | None:
        """Return what the present values of the variables break, in words; None if nothing.

        Examples
        --------
        >>> model = pyo.ConcreteModel()
        >>> model.x = pyo.Var([1, 2], domain=pyo.Binary)
        >>> model.goal = pyo.Objective(expr=model.x[1])
        >>> def both(model):
        ...     model.both = pyo.Constraint(expr=model.x[1] + model.x[2] == 2)
        >>> added = extended(model, both)
        >>> model.x[1].set_value(1), model.x[2].set_value(0)
        (None, None)
        >>> added.broken()
        'both: expected 2 to 2, found 1'
        """
        for name, (variable, value) in self.fixed.items():
            if variable.value != value:
                return f"{name}: expected {value:g}, found {variable.value:g}"
        for variable, low, high in self.narrowed:
            found = Fraction(variable.value)
            if _outside(found, low, high, TOLERANCE):
                return _said(variable.name, low, high, found)
        for row in self.constraints:
            broken = broken_row(row)
            if broken is not None:
                return broken
        return None

    @property
    def exact(self) -> bool:
        """Whether only integers were met, so that `broken` is exact."""
        return all(_evaluated(row)[1] == 0 for row in self.constraints)


def extended(model: pyo.ConcreteModel, extend: Extend) -> Extension:
    """Let a caller add constraints to a model.

    Parameters
    ----------
    model : ConcreteModel
        A model of a formulation.
    extend : callable
        ``extend(model)`` adds constraints, and variables of its own if it likes. It may fix
        variables of the formulation and narrow their bounds.

    Raises
    ------
    InputError
        If it raises an exception, adds nothing, adds what is no linear constraint, changes the
        objective, or takes away something of the formulation.
    """
    before = _Snapshot.of(model)
    name = getattr(extend, "__name__", type(extend).__name__)
    try:
        with _errors_raised_only():
            extend(model)
    except Exception as error:
        text = " ".join(str(error).split())
        misspelt = isinstance(error, AttributeError) and error.obj is model
        if misspelt:
            parts = model.component_objects(descend_into=False)
            text += f"; the model has {', '.join(part.local_name for part in parts)}"
        raise InputError(f"extend: {name} failed ({type(error).__name__}: {text})") from error
    before.require_kept(model)
    added = before.added(model)
    if not added.rows:
        raise InputError(f"extend: expected {name} to add a constraint, found none")
    for row in added.constraints:
        if not generate_standard_repn(row.body).is_linear():
            raise InputError(f"extend: expected linear constraints, found {row.name}")
    return added


@contextmanager
def _errors_raised_only() -> Iterator[None]:
    """Keep Pyomo from logging the errors that it raises as well; warnings are logged as ever."""
    logger = logging.getLogger("pyomo.core")

    def below_error(record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR

    logger.addFilter(below_error)
    try:
        yield
    finally:
        logger.removeFilter(below_error)


def broken_row(row: Any) -> str | None:
    """Return what the present values of the variables break of a row, in words; None if nothing."""
    found, slack = _evaluated(row)
    if _outside(found, row.lb, row.ub, slack):
        return _said(row.name, row.lb, row.ub, found)
    return None


def of_integers(row: Any) -> bool:
    """Whether all variables of a row are integers."""
    return not any(variable.is_continuous() for variable in identify_variables(row.body))


@dataclass(frozen=True, slots=True, eq=False)
class _Snapshot:
    """A model before anything is added to it."""

    rows: dict[int, tuple[Any, Any]]
    variables: dict[int, tuple[Any, Any]]
    goals: list[tuple[Any, Any, Any]]

    @classmethod
    def of(cls, model: pyo.ConcreteModel) -> _Snapshot:
        variables = model.component_data_objects(pyo.Var)
        return cls(
            rows={id(row): (row, row.expr) for row in _rows(model)},
            variables={id(x): (x, (x.lb, x.ub, x.domain, x.fixed)) for x in variables},
            goals=_goals(model),
        )

    def require_kept(self, model: pyo.ConcreteModel) -> None:
        """Refuse a model from which something was taken away."""
        there = {id(row): row.expr for row in _rows(model)}
        for key, (row, expression) in self.rows.items():
            if there.get(key) is not expression:
                raise InputError(
                    f"extend: expected the formulation's constraints to stay, found {row.name} "
                    "changed: bounds would hold no more"
                )
        after = _goals(model)
        if len(after) != len(self.goals) or any(
            new is not old for a, b in zip(after, self.goals, strict=True)
            for new, old in zip(a, b, strict=True)
        ):  # fmt: skip
            raise InputError("extend: expected the objective to stay, found another")
        for x, (low, high, domain, fixed) in self.variables.values():
            wider = _below(x.lb, low) or _below(_minus(x.ub), _minus(high))
            if wider or x.domain is not domain or (fixed and not x.fixed):
                raise InputError(
                    f"extend: expected the values of {x.name} to stay or become fewer, found more"
                )
        for block in model.block_data_objects():
            for component in block.component_objects(descend_into=False):
                active = isinstance(component, ActiveComponent) and component.active
                if active and component.ctype not in (*ADDABLE, pyo.Objective):
                    raise InputError(
                        f"extend: expected linear constraints, found {component.name}, a "
                        f"{component.ctype.__name__}"
                    )

    def added(self, model: pyo.ConcreteModel) -> Extension:
        """Return what the model has now and had not before."""
        mine = [(x, kept) for x, kept in self.variables.values() if not x.fixed]
        return Extension(
            constraints=tuple(row for row in _rows(model) if id(row) not in self.rows),
            variables=tuple(
                x for x in model.component_data_objects(pyo.Var) if id(x) not in self.variables
            ),
            fixed={
                x.name: (x, x.value)
                for x, (_, _, _, fixed) in self.variables.values()
                if x.fixed and not fixed
            },
            narrowed=tuple(
                (x, x.lb, x.ub) for x, (low, high, _, _) in mine if (x.lb, x.ub) != (low, high)
            ),
        )


def _rows(model: pyo.ConcreteModel) -> Iterator[Any]:
    rows: Iterator[Any] = model.component_data_objects(pyo.Constraint, active=True)
    return rows


def _goals(model: pyo.ConcreteModel) -> list[tuple[Any, Any, Any]]:
    goals = model.component_data_objects(pyo.Objective, active=True)
    return [(goal, goal.expr, goal.sense) for goal in goals]


def _below(new: float | None, old: float | None) -> bool:
    """Whether a lower end is lower than it was; None is no end."""
    return old is not None and (new is None or new < old)


def _minus(end: float | None) -> float | None:
    return None if end is None else -end


def _evaluated(row: Any) -> tuple[Fraction, Fraction]:
    """Value of a row's body, and by how much it may miss its ends: 0 if all are integers."""
    body = generate_standard_repn(row.body)
    terms = list(zip(body.linear_coefs, body.linear_vars, strict=True))
    numbers = [body.constant, *body.linear_coefs, *(x.value for _, x in terms)]
    numbers += [end for end in (row.lb, row.ub) if end is not None]
    parts = [Fraction(body.constant), *(Fraction(c) * Fraction(x.value) for c, x in terms)]
    value = sum(parts, Fraction(0))
    if all(float(number).is_integer() for number in numbers):
        return value, Fraction(0)
    size = sum(map(abs, parts), Fraction(0))
    return value, TOLERANCE * max(Fraction(1), size)


def _outside(value: Fraction, low: float | None, high: float | None, slack: Fraction) -> bool:
    below = low is not None and value < Fraction(low) - slack
    return below or (high is not None and value > Fraction(high) + slack)


def _said(name: str, low: float | None, high: float | None, found: Fraction) -> str:
    ends = f"{'−∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"
    return f"{name}: expected {ends}, found {float(found):g}"
