"""Environments of online packing: everything about them is known exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ...models.errors import InputError
from ...models.families.setting import Setting
from ..environments.environment import EnvironmentKind, Outcome, Replicate, time_bins
from .problem import MULTI_SECRETARY, ONLINE_PACKING, PackingProblem, scaled
from .recursion import RULES, exact_value, optimal_values
from .simulation import PackingRun, draw_types, run_packing

#: States of the optimal policy's table, T·B_1·B_2, beyond which it would not fit in memory.
LARGEST_TABLE = 10**8


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingEnvironment:
    """Online packing with budgets in proportion to the horizon.

    Parameters
    ----------
    name : str
        Name on the command line.
    problem : PackingProblem
        The problem at its own horizon; other horizons scale its budgets.
    """

    name: str
    problem: PackingProblem

    @property
    def policies(self) -> tuple[str, ...]:
        """Optimal policy, Bayes selector, re-solve and randomise, static, IRT."""
        return RULES

    @property
    def horizons(self) -> tuple[int, ...]:
        """One, two, three and five times the problem's own."""
        return tuple(k * self.problem.horizon for k in (1, 2, 3, 5))

    def benchmark(self, horizon: int) -> str:
        """Say what regret is measured against."""
        return "hindsight optimum (exact)"

    def experiment(self, horizon: int, policies: Sequence[str]) -> Replicate:
        """Prepare replications at a horizon; the optimal policy needs its table of values.

        Raises
        ------
        InputError
            If budgets would not be integers, or the table would not fit in memory.
        """
        problem = scaled(self.problem, horizon)
        states = (horizon + 1) * int(np.prod([b + 1 for b in problem.budgets]))
        if "dp" in policies and states > LARGEST_TABLE:
            raise InputError(
                f"policy dp: expected a table of at most {LARGEST_TABLE:,} states, found "
                f"{states:,} at horizon {horizon}; leave it out with --policies"
            )
        optimal = optimal_values(problem) if "dp" in policies else None

        def replicate(rng: np.random.Generator) -> Mapping[str, Outcome]:
            types, uniforms = draw_types(problem, rng), rng.random(horizon)
            return {
                policy: _outcome(run_packing(problem, policy, types, uniforms, optimal))
                for policy in policies
            }

        return replicate

    def exact_horizon(self) -> int:
        """Return the problem's own horizon."""
        return self.problem.horizon

    def exact_value(self, policy: str, horizon: int) -> float:
        """Return a policy's expected reward, by recursion."""
        return exact_value(scaled(self.problem, horizon), policy)

    def fluid_value(self, horizon: int) -> Fraction:
        """Return the value of the fluid LP."""
        return scaled(self.problem, horizon).fluid_value()


def _outcome(run: PackingRun) -> Outcome:
    T = run.by_period.size
    by_time, _ = np.histogram(np.arange(T), bins=time_bins(T), weights=run.by_period)
    parts = {}
    for verb, compensations in (("accept", run.accepted), ("reject", run.rejected)):
        for j, paid in enumerate(compensations.tolist()):
            parts[f"{verb} type {j + 1}"] = float(paid)
    return Outcome(
        value=run.value,
        hindsight=run.hindsight,
        by_time=by_time.astype(np.float64),
        by_part=parts,
        residual=run.residual,
        smallest=run.smallest,
    )


def _build(name: str, problem: PackingProblem, scale: int) -> PackingEnvironment:
    return PackingEnvironment(name=name, problem=scaled(problem, scale * problem.horizon))


_SCALE = Setting(
    name="scale",
    kind="integer",
    description="factor on horizon and budgets",
    default=1,
    low=1,
    high=1000,
)

ONLINE_PACKING_KIND = EnvironmentKind(
    name="online-packing",
    description="two budgets, six types, T = 200·scale, B = (40, 40)·scale",
    source="arXiv 1901.05028, §4 (the instance: docs/model/coupling.md §2)",
    settings=(_SCALE,),
    build=lambda scale: _build("online-packing", ONLINE_PACKING, scale),
)

MULTI_SECRETARY_KIND = EnvironmentKind(
    name="multi-secretary",
    description="one budget, four types, T = 200·scale, B = 100·scale (a degenerate fluid optimum)",
    source="arXiv 1901.05028, §3",
    settings=(_SCALE,),
    build=lambda scale: _build("multi-secretary", MULTI_SECRETARY, scale),
)
