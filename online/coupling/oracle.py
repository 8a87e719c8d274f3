"""Oracles: what a path is worth from a state on, to one who knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Generic, Protocol, TypeVar

from ...models.errors import BatchprophetError
from ...models.objectives import Exact
from ...solvers.highs import Status, solve_model
from .problem import Action, ControlProblem, Path, State

_State = TypeVar("_State", contravariant=True)
_Path = TypeVar("_Path", contravariant=True)


class Oracle(Protocol[_State, _Path]):
    """V_off(t, S)[ω], or a bound on it from above that is 0 where nothing is left to decide.

    Attributes
    ----------
    exact : bool
        Whether it is the hindsight optimum itself. Any other potential Φ telescopes all the same
        (docs/model/coupling.md §1), but compensations may then be negative unless it obeys
        ``Φ(t, S) ≥ R(t, a, S) + Φ(t+1, T(a, S))``.
    """

    @property
    def exact(self) -> bool:
        """Whether `value` is the hindsight optimum."""
        ...

    def value(self, t: int, S: _State, path: _Path) -> Exact | float:
        """Return V_off(t, S)[ω]."""
        ...


@dataclass(frozen=True, slots=True)
class FormulaOracle(Generic[State, Path]):
    """A combinatorial optimum, a closed form, or any bound as potential: a function.

    Parameters
    ----------
    formula : callable
        ``formula(t, S, path)``.
    exact : bool
        Whether it is the hindsight optimum.
    """

    formula: Callable[[int, State, Path], Exact | float]
    exact: bool = True

    def value(self, t: int, S: State, path: Path) -> Exact | float:
        """Return the formula's value."""
        return self.formula(t, S, path)


@dataclass(frozen=True, slots=True)
class RecursionOracle(Generic[State, Action, Path]):
    """Hindsight by dynamic programming on the path: exact, and slow in large state spaces.

    States and paths are keys of a table, so they must be hashable; the table is emptied when a
    new path is asked for.

    Parameters
    ----------
    problem : ControlProblem
        Whose hindsight optimum is asked for.
    """

    problem: ControlProblem[State, Action, Path]
    _table: dict[Any, Exact] = field(default_factory=dict, repr=False, compare=False)
    _path: list[Path] = field(default_factory=list, repr=False, compare=False)

    @property
    def exact(self) -> bool:
        """True."""
        return True

    def value(self, t: int, S: State, path: Path) -> Exact:
        """Return max_a { R(t, a, S) + V_off(t+1, T(a, S)) }, 0 where there is no action."""
        if self._path != [path]:
            self._path[:] = [path]
            self._table.clear()
        return self._solve(t, S, path)

    def _solve(self, t: int, S: State, path: Path) -> Exact:
        """Depth first with a stack of its own: horizons may exceed Python's recursion limit."""
        stack = [(t, S)]
        while stack:
            u, s = stack[-1]
            if (u, s) in self._table:
                stack.pop()
                continue
            moves = [
                (
                    self.problem.reward(u, a, s, path),
                    (u + 1, self.problem.next_state(u, a, s, path)),
                )
                for a in self.problem.actions(u, s, path)
            ]
            missing = [key for _, key in moves if key not in self._table]
            if missing:
                stack += missing
                continue
            self._table[u, s] = max((r + self._table[key] for r, key in moves), default=0)
            stack.pop()
        return self._table[t, S]


@dataclass(frozen=True, slots=True)
class FormulationOracle(Generic[State, Path]):
    """Hindsight by a linear or mixed-integer program, through the one door to HiGHS.

    Parameters
    ----------
    formulate : callable
        ``formulate(t, S, path)`` returns a maximisation as a Pyomo model or a `MatrixForm`.
    relax : bool
        Solve the LP relaxation: a bound, exact only where the matrix makes it so.
    integral : bool
        Whether the optimum is known to be an integer: then it is returned as one.
    exact : bool
        Whether the program's optimum is the hindsight optimum.
    """

    formulate: Callable[[int, State, Path], Any]
    relax: bool = False
    integral: bool = False
    exact: bool = True

    def value(self, t: int, S: State, path: Path) -> Exact | float:
        """Return the program's optimum.

        Raises
        ------
        BatchprophetError
            If the optimum is not within 1e-6 of an integer though it must be one.
        """
        result = solve_model(self.formulate(t, S, path), relax=self.relax)
        assert result.status is Status.OPTIMAL, "without limits a solve ends optimal or raises"
        assert result.objective is not None, "an optimal result has an objective"
        if not self.integral:
            return result.objective
        nearest = round(result.objective)
        if abs(result.objective - nearest) > 1e-6 * max(1, abs(nearest)):
            raise BatchprophetError(
                f"oracle: expected an integral optimum at decision {t}, found {result.objective}"
            )
        return nearest


def is_exact(value: Exact | float) -> bool:
    """Whether a value is free of rounding: an integer or a fraction."""
    return isinstance(value, (int, Fraction))
