"""The hindsight optimum with a caller's constraints: searched by the MILP, checked twice.

Three things are known of the answer, each from another source:

- **The schedule** is feasible: the independent checker says so, and the caller's constraints are
  evaluated at the values that the schedule gives to the variables, in exact arithmetic where all
  numbers are integers. What a solver says of them is not asked.
- **The bound of the instance** without the constraints, with its certificate, is one with them too:
  they leave fewer schedules. The heuristics of the engine know nothing of the constraints, so their
  schedules are answers only if they obey them.
- **The solver's bound** is HiGHS's word. It is one for all schedules only if the model offers every
  schedule that is as good as the one found: `models.latest_completions` says how late those end,
  and the model is built anew if it ended before. With a horizon of the caller's it is a bound on
  the schedules that end by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic

import numpy as np

from ..models.errors import BatchprophetError, InfeasibleError, InputError
from ..models.extension import Extend, Extension, extended
from ..models.instance import Instance, IntArray
from ..models.latest_completions import latest_of_value
from ..models.objectives import MAXIMISED, latest_completion, value_step
from ..models.regime import Schedule, ScheduleType
from ..models.regimes import check
from .best_so_far import BestSoFar
from .constrained import Constrained, NoScheduleFound
from .extendable import Extendable
from .highs import HighsResult, Status, solve_model
from .matrix_form import compile_model
from .milp_stage import contradicts, solved, tell
from .progress import Progress
from .recipe import Options, Recipe, require_among
from .solution import Solution
from .units import in_units, out_of_units

#: Share of the time for the instance without the constraints, whose bound holds with them.
BASE_SHARE = 0.2

#: Share of what is left for a model whose horizon may have to be moved.
FIRST_SHARE = 0.5

#: How often a horizon with which there is no schedule is doubled, where none was given.
DOUBLINGS = 3


def solve_extended(
    recipe: Recipe[ScheduleType],
    instance: Instance,
    options: Options,
    extend: Extend,
    *,
    horizon: int | None = None,
    warm_start: Schedule | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Solution[ScheduleType], Constrained]:
    """Solve an instance with a caller's constraints on a MILP of its regime.

    Parameters
    ----------
    recipe : Recipe
        The regime.
    instance : Instance
        The instance.
    options : Options
        Objective, limits, seed; the formulation to which the constraints are added ("auto": the one
        in which each request has variables of its own).
    extend : callable
        ``extend(model)`` adds the constraints; it is called for each model that is built.
    horizon : int, optional
        Latest completion of all requests, in the batch-time law's unit. By default it is derived,
        and moved until every schedule as good as the one found ends by it.
    warm_start : Schedule, optional
        A feasible schedule of the instance; used if it obeys the constraints.
    progress : callable, optional
        Gets a `Progress` at each step.

    Returns
    -------
    tuple of Solution and Constrained
        The best schedule found that obeys the constraints, with its bound; what is known of both.

    Raises
    ------
    InputError
        If the constraints or the horizon cannot be used (`models.extension.extended`), or the
        solution of the model counts on what the model leaves open.
    InfeasibleError
        If HiGHS proves that no schedule within the horizon obeys the constraints.
    NoScheduleFound
        If the limits were reached before one was found.

    Examples
    --------
    At most one request in a round, so that they are served one after the other:

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.regimes import recipe
    >>> import pyomo.environ as pyo
    >>> gpu = Gpu(kv_capacity=50)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> def one(model):
    ...     model.one = pyo.Constraint(model.ROUNDS, rule=lambda m, t: m.A[t] <= 1)
    >>> solution, known = solve_extended(recipe("mixed"), instance, Options(work_limit=9), one)
    >>> solution.objective, solution.status, known.exact, known.complete
    (8, 'optimal', True, True)
    """
    if recipe.extendable is None or not recipe.formulations:
        raise InputError(f"extend: {recipe.rules.name} batching has no MILP")
    require_among("formulation", options.formulation, ("auto", *recipe.formulations))
    recipe.rules.require(instance)
    if recipe.prepare is not None:
        recipe.prepare(instance, options)
    milps = recipe.extendable()
    form = options.formulation
    form = milps.default_form(instance) if form == "auto" else form
    latest = first_latest(milps, instance, options.objective, horizon)
    search = BestSoFar[ScheduleType](instance, options.objective, options.seconds)
    search.listen = progress
    recipe.compile_off_the_clock(search, replace(options, formulation="auto"))
    solve = _ExtendedSearch(milps, search, options, extend, form, given=horizon is not None)
    known = _bounded_without(recipe, search, options, warm_start)
    solve.run(latest, known)
    return search.solution(), solve.known()


def first_latest(
    milps: Extendable[Any], instance: Instance, objective: str, horizon: int | None
) -> IntArray:
    """Return the latest completions to begin with: the caller's, or those of the instance.

    Raises
    ------
    InputError
        If a request cannot complete by the caller's.
    """
    if horizon is None:
        return milps.latest(instance, objective)
    latest = np.full(instance.n, horizon, dtype=np.int64)
    if objective in MAXIMISED:
        return np.minimum(latest, latest_completion(instance))
    needed = int((instance.arrival + milps.alone(instance)).max())
    if horizon < needed:
        raise InputError(
            f"horizon: expected at least {needed}, by which each request alone can complete, "
            f"found {horizon}"
        )
    return latest


def _bounded_without(
    recipe: Recipe[ScheduleType],
    search: BestSoFar[ScheduleType],
    options: Options,
    warm_start: Schedule | None,
) -> list[ScheduleType]:
    """Bound the instance without the constraints; return schedules that may obey them."""
    base = replace(options, time_limit=BASE_SHARE * options.time_limit, formulation="auto")
    found = recipe.solve(search.instance, base, warm_start=warm_start, progress=search.listen)
    if "interrupted" in found.method:
        raise KeyboardInterrupt
    search.bounds += found.bounds
    certificate = found.certificate
    if certificate is not None:
        name = f"{certificate.proof.kind}, without the constraints"
        search.proved_bound(name, certificate.bound, certificate.proof)
    known = [found.schedule]
    if warm_start is not None:
        known.insert(0, warm_start)  # type: ignore[arg-type]  # the recipe has refused others
    return known


@dataclass(slots=True)
class _ExtendedSearch(Generic[ScheduleType]):
    """One search: models of growing or shrinking horizons."""

    milps: Extendable[ScheduleType]
    search: BestSoFar[ScheduleType]
    options: Options
    extend: Extend
    form: str
    given: bool
    added: Extension | None = None
    latest: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    complete: bool = False

    def known(self) -> Constrained:
        """Return what is known of the best schedule."""
        assert self.added is not None
        return Constrained(
            constraints=self.added.names,
            rows=self.added.rows,
            exact=self.added.exact,
            formulation=self.form,
            latest=int(self.latest.max()),
            given=self.given,
            complete=self.complete,
        )

    def run(self, latest: IntArray, known: list[ScheduleType]) -> None:
        """Solve models until one offers every schedule as good as the best."""
        search, doublings, last = self.search, 0, self.given
        while True:
            self._require_size(latest)
            try:
                result = self._solve(latest, known, 1.0 if last else FIRST_SHARE)
            except InfeasibleError as error:
                if self.given or doublings == DOUBLINGS or search.seconds_left == 0:
                    raise InfeasibleError(self._no_schedule(error)) from error
                doublings += 1
                latest = self._later(latest)
                continue
            needed = self._needed()
            self.complete = needed is not None and bool((needed <= self.latest).all())
            if result is not None and (self.complete or self.given):
                self._take_bound(result)
            ended = result is None or result.interrupted or search.seconds_left == 0
            if ended or last or (self.complete and search.proved):
                break
            if needed is not None and self._size(needed) > self.milps.largest:
                search.account.append(f"not tried to {int(needed.max())} (too large)")
                break
            latest, last = (latest if needed is None else needed), True
        if search.schedule is None:
            raise NoScheduleFound(
                "no schedule that obeys the constraints was found within the limits; allow more "
                "time (--time-limit), or in Python give one that obeys them (warm_start)"
            )

    def _later(self, latest: IntArray) -> IntArray:
        first = int(self.search.instance.arrival.min())
        return first + 2 * (latest - first)

    def _size(self, latest: IntArray) -> int:
        return self.milps.size(self.search.instance, self.form, latest)

    def _require_size(self, latest: IntArray) -> None:
        size = self._size(latest)
        if size > self.milps.largest:
            raise InputError(
                f"extend: expected a model of size at most {self.milps.largest:,} (requests × "
                f"times, or × batches), found {size:,}; constraints need the MILP, which is for "
                "small instances"
            )

    def _no_schedule(self, error: InfeasibleError) -> str:
        end = int(self.latest.max())
        return (
            f"no schedule that ends by {end:,} obeys the constraints ({error}); if a later one "
            "may, give a longer horizon"
        )

    def _solve(
        self, latest: IntArray, known: list[ScheduleType], share: float
    ) -> HighsResult | None:
        """Build a model, start it, solve it, and keep its schedule; None if that is not needed."""
        search, options = self.search, self.options
        self.latest = latest
        small, unit = in_units(search.instance, search.objective)
        search.tell("building the MILP")
        model = self.milps.build(small, search.objective, self.form, latest)
        self.added = extended(model, self.extend)
        form = compile_model(model)
        started = self._start(model, known)
        if search.proved:
            return None
        limited = options.work_limit is None

        def solve() -> HighsResult:
            return solve_model(
                form,
                time_limit=search.seconds_left * share if limited else None,
                work_limit=options.work_limit,
                threads=options.threads,
                seed=options.seed,
                absolute_gap=float(value_step(search.instance, search.objective) / unit) / 2,
                warm_start=started,
                progress=partial(tell, search, unit),
            )

        # With a schedule that obeys the constraints, a failure takes nothing away.
        result = solve() if search.schedule is None else solved(search, "MILP", solve)
        if result is None:
            return None
        if search.schedule is None:
            search.log += result.log
        if result.values is not None:
            self._keep(model, result)
        ended = "solved to optimality" if result.status is Status.OPTIMAL else "limit reached"
        ended = "interrupted" if result.interrupted else ended
        search.account.append(
            f"MILP ({self.form} form, to {int(latest.max())}): {ended} after {result.nodes} nodes"
        )
        return result

    def _start(self, model: Any, known: list[ScheduleType]) -> bool:
        """Start from the best schedule that obeys the constraints; say whether there is one."""
        own = self.added.variables if self.added is not None else ()
        best = known if self.search.schedule is None else [self.search.schedule]
        for schedule in best:
            offered = self.milps.set_values(self.search.instance, model, schedule)
            if offered and not own and self._broken() is None and self._in_horizon(schedule):
                self._offer(schedule, "a schedule that obeys the constraints")
        if self.search.schedule is None or own:
            return False
        return self.milps.set_values(self.search.instance, model, self.search.schedule)

    def _in_horizon(self, schedule: ScheduleType) -> bool:
        """Whether it is as the model has it: its completions are offered."""
        if self.search.objective in MAXIMISED:
            return True
        completion = schedule.completion(self.search.instance)
        return bool((completion <= self.latest).all())

    def _broken(self) -> str | None:
        assert self.added is not None
        return self.added.broken()

    def _keep(self, model: Any, result: HighsResult) -> None:
        """Read the schedule, check it, and evaluate the constraints at what it stands for."""
        assert self.added is not None
        search, instance = self.search, self.search.instance
        own = {id(x): _rounded(x, result.value(x)) for x in self._own_in(result)}
        schedule = self.milps.read(instance, model, self._value_in(result), as_placed=True)
        wrong = check(instance, schedule, allow_rejected=search.objective in MAXIMISED)
        if wrong:
            raise BatchprophetError(f"the MILP's schedule is infeasible: {wrong[0].message}")
        if not self.milps.set_values(instance, model, schedule):
            raise BatchprophetError("the MILP does not offer the schedule that it stands for")
        for x in self.added.variables:
            if not x.fixed:
                x.set_value(own.get(id(x), x.lb or 0), skip_validation=True)
        broken = self._broken()
        if broken is not None:
            raise InputError(
                f"extend: the schedule of the model's solution breaks {broken}; a constraint on a "
                "variable that the model bounds on one side only says nothing of the schedule "
                "(docs/how-to/my-constraint.md)"
            )
        self._offer(schedule, f"MILP ({self.form} form)")

    def _value_in(self, result: HighsResult) -> Callable[[Any], float]:
        """Values of variables: what is fixed is no column of the model."""
        assert self.added is not None
        columns = {id(x) for x in result.form.columns}
        fixed = {id(x): value for x, value in self.added.fixed.values()}

        def value(variable: Any) -> float:
            if id(variable) in columns:
                return result.value(variable)
            return fixed.get(id(variable), variable.value or 0.0)

        return value

    def _own_in(self, result: HighsResult) -> list[Any]:
        """The caller's variables that are columns of the model."""
        assert self.added is not None
        columns = {id(x) for x in result.form.columns}
        return [x for x in self.added.variables if id(x) in columns]

    def _offer(self, schedule: ScheduleType, found_by: str) -> None:
        self.search.offer(schedule, found_by)

    def _needed(self) -> IntArray | None:
        """Latest completions of all schedules as good as the best; None if nothing tells."""
        search = self.search
        if search.value is None:
            return None
        instance = search.instance
        alone = self.milps.alone(instance)
        return latest_of_value(instance, alone, search.objective, search.value)

    def _take_bound(self, result: HighsResult) -> None:
        _, unit = in_units(self.search.instance, self.search.objective)
        if result.bound is None:
            return
        bound = out_of_units(result.bound, unit, self.search.maximised)
        if contradicts(self.search, bound):
            self.search.account.append("its bound is not believed (a schedule is better)")
            return
        self.search.better_bound("HiGHS on the MILP with the constraints", bound)


def _rounded(variable: Any, value: float) -> float:
    return value if variable.is_continuous() else round(value)
