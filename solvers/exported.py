"""MILPs for other solvers, and the way back: from values by name to a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, Generic

import pyomo.environ as pyo

from ..models.errors import InputError
from ..models.extension import Extend, Extension, broken_row, extended, of_integers
from ..models.instance import Instance
from ..models.model_file import names_in_files, write_model
from ..models.regime import ScheduleType
from .extended import first_latest
from .recipe import Recipe, require_among

#: How far the value of an integer variable may be from an integer.
INTEGRALITY = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exported(Generic[ScheduleType]):
    """A MILP as it is in a file.

    Attributes
    ----------
    recipe : Recipe
        Its regime.
    instance : Instance
        The instance.
    model : ConcreteModel
        The model.
    added : Extension or None
        A caller's constraints in it.
    """

    recipe: Recipe[ScheduleType]
    instance: Instance
    model: Any
    added: Extension | None

    def write(self, path: str | PathLike[str]) -> None:
        """Write it to a file that ends in ``.lp``, ``.mps``, ``.lp.gz`` or ``.mps.gz``."""
        write_model(path, lambda: self.model)

    def schedule(self, values: Mapping[str, float], where: str) -> ScheduleType:
        """Return the schedule of a solution.

        Parameters
        ----------
        values : mapping of str to float
            Values by the names that the variables have in files; those left out are 0.
        where : str
            The file that they come from, for messages.

        Raises
        ------
        InputError
            If a name is none of the model's, an integer variable has another value, or the
            schedule does not obey the constraints that were added.
        """
        names = names_in_files(self.model)
        unknown = [name for name in values if name not in names]
        if unknown:
            raise InputError(
                f"{where}: {unknown[0]}: no variable of the model ({self._title}); give the "
                "options with which it was exported (--model, --objective, --formulation, "
                "--extend, --horizon)"
            )
        at = {id(variable): values.get(name, 0.0) for name, variable in names.items()}
        for name, variable in names.items():
            found = at[id(variable)]
            if not variable.is_continuous() and abs(found - round(found)) > INTEGRALITY:
                raise InputError(f"{where}: {name}: expected an integer, found {found:g}")

        def value(variable: Any) -> float:
            return float(variable.value) if variable.fixed else at[id(variable)]

        self._require_rows(value, where)

        assert self.recipe.extendable is not None
        milps = self.recipe.extendable()
        read = milps.read(self.instance, self.model, value, as_placed=self.added is not None)
        schedule: ScheduleType = read
        if self.added is not None:
            self._require_obeyed(schedule, value, where)
        return schedule

    @property
    def _title(self) -> str:
        return str(self.model.name).strip("'")

    def _require_rows(self, value: Any, where: str) -> None:
        """Refuse values that break a row of integer variables: a request without a start, say."""
        for variable in self.model.component_data_objects(pyo.Var):
            if not variable.fixed and not variable.is_continuous():
                variable.set_value(round(value(variable)), skip_validation=True)
        for row in self.model.component_data_objects(pyo.Constraint, active=True):
            broken = broken_row(row) if of_integers(row) else None
            if broken is not None:
                raise InputError(f"{where}: the values break {broken}")

    def _require_obeyed(self, schedule: ScheduleType, value: Any, where: str) -> None:
        assert self.added is not None
        assert self.recipe.extendable is not None
        own = {id(x): value(x) for x in self.added.variables}
        if not self.recipe.extendable().set_values(self.instance, self.model, schedule):
            return  # what it is, the checker says
        for x in self.added.variables:
            found = own[id(x)]
            x.set_value(found if x.is_continuous() else round(found), skip_validation=True)
        broken = self.added.broken()
        if broken is not None:
            raise InputError(f"{where}: the schedule breaks {broken}")


def exported(
    recipe: Recipe[ScheduleType],
    instance: Instance,
    *,
    objective: str = "latency",
    formulation: str = "auto",
    extend: Extend | None = None,
    horizon: int | None = None,
) -> Exported[ScheduleType]:
    """Build the MILP that goes to a file, with a caller's constraints if there are any.

    Parameters
    ----------
    recipe : Recipe
        The regime.
    instance : Instance
        The instance.
    objective, formulation : str
        As in `hindsight.solve`; "auto" is the regime's default form.
    extend : callable, optional
        Adds constraints, as in `extended.solve_extended`.
    horizon : int, optional
        Latest completion that the model offers, with constraints only; by default one that keeps an
        optimal schedule of the instance without them.

    Raises
    ------
    InputError
        If something is unknown or cannot be used.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.regimes import recipe
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> model = exported(recipe("mixed"), instance)
    >>> model.schedule({"x(0_0)": 1, "x(1_3)": 1}, "by hand").start.tolist()
    [0, 3]
    """
    if recipe.build_model is None or recipe.extendable is None:
        raise InputError(f"export: {recipe.rules.name} batching has no MILP")
    require_among("formulation", formulation, ("auto", *recipe.formulations))
    recipe.rules.require(instance)
    if extend is None:
        if horizon is not None:
            raise InputError("horizon: expected with constraints (extend), found alone")
        model = recipe.build_model(instance, objective, formulation)
        return Exported(recipe=recipe, instance=instance, model=model, added=None)
    milps = recipe.extendable()
    form = milps.default_form(instance) if formulation == "auto" else formulation
    latest = first_latest(milps, instance, objective, horizon)
    size = milps.size(instance, form, latest)
    if size > milps.largest:
        raise InputError(
            f"extend: expected a model of size at most {milps.largest:,}, found {size:,}"
        )
    model = milps.build(instance, objective, form, latest)
    return Exported(recipe=recipe, instance=instance, model=model, added=extended(model, extend))
