"""Regret against the horizon: replications with common random numbers, growth, decomposition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.errors import InputError
from ..models.frames import frame
from ..models.instance import FloatArray
from ..models.objectives import Exact
from ..models.shown import elided, html_table
from .environments.environment import Environment, Outcome, Recursive
from .growth import Growth, fit_growth, half_width

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class RegretRow:
    """The regret of one policy at one horizon.

    Attributes
    ----------
    policy : str
        Its name.
    horizon : int
        T.
    replications : int
        Number of sample paths; the same ones for all policies.
    benchmark : str
        What regret is measured against.
    regret : float
        Mean of benchmark − value.
    half_width : float or None
        Half of its 95 % confidence interval; None with one replication.
    identity_residual : int or float
        Largest ``|regret − Σ compensations|`` over all paths: 0 in exact arithmetic.
    smallest_compensation : float
        Smallest compensation over all paths: not negative if the benchmark is a true potential.
    benchmark_value, value : float
        Mean values of benchmark and policy.
    regret_to_bound : float or None
        Mean of bound − value, where the benchmark is only the best known value and a bound on the
        optimum is proved: the regret to the optimum lies between the two.
    regret_per_request : float or None
        Regret over all paths by the number of requests on them, where requests are counted.
    """

    policy: str
    horizon: int
    replications: int
    benchmark: str
    regret: float
    half_width: float | None
    identity_residual: int | float
    smallest_compensation: float
    benchmark_value: float
    value: float
    regret_to_bound: float | None = None
    regret_per_request: float | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the row as ``--json`` prints it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decomposition:
    """Where the regret of one policy at one horizon arises, in means over the paths.

    Attributes
    ----------
    by_time : ndarray of float64, shape (bins,)
        Compensations in equal bins over the horizon.
    by_part : mapping of str to float
        Compensations by what was decided.
    """

    policy: str
    horizon: int
    by_time: FloatArray
    by_part: Mapping[str, float]

    def to_record(self) -> dict[str, Any]:
        """Return the decomposition as ``--json`` prints it."""
        return {
            "policy": self.policy,
            "horizon": self.horizon,
            "by_time": self.by_time.tolist(),
            "by_part": dict(self.by_part),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegretStudy:
    """What a measurement of regret found.

    Attributes
    ----------
    environment : str
        Its name.
    rows : tuple of RegretRow
        By horizon, then in the order of the policies.
    growth : mapping of str to Growth or None
        By policy; None where no exponent can be fitted.
    decompositions : tuple of Decomposition
        In the order of the rows.
    interrupted : bool
        Whether a keyboard interrupt ended it; what is done is kept.
    """

    environment: str
    rows: tuple[RegretRow, ...]
    growth: Mapping[str, Growth | None]
    decompositions: tuple[Decomposition, ...]
    interrupted: bool

    def __repr__(self) -> str:
        policies = elided(list(dict.fromkeys(row.policy for row in self.rows)))
        horizons = elided(list(dict.fromkeys(row.horizon for row in self.rows)))
        return f"RegretStudy({self.environment!r}, policies={policies},\n  horizons={horizons})"

    def _repr_html_(self) -> str:
        rows = [
            (
                row.policy,
                f"{row.horizon:,}",
                row.replications,
                f"{row.regret:,.2f}",
                "" if row.half_width is None else f"{row.half_width:,.2f}",
            )
            for row in self.rows
        ]
        columns = ["policy", "horizon", "paths", "regret", "± 95 %"]
        return html_table(f"{self.environment}: regret", columns, len(rows), rows)

    def to_record(self) -> dict[str, Any]:
        """Return the study as ``--json`` prints it."""
        return {
            "rows": [row.to_record() for row in self.rows],
            "growth": [
                {
                    "policy": policy,
                    "exponent": None if fit is None else fit.exponent,
                    "interval": None if fit is None else [fit.low, fit.high],
                    "admitted": None if fit is None else list(fit.admitted),
                    "shape": None if fit is None else fit.shape,
                }
                for policy, fit in self.growth.items()
            ],
            "decomposition": [each.to_record() for each in self.decompositions],
        }

    def to_frame(self) -> DataFrame:
        """Return one row a policy and horizon, with all that a `RegretRow` has.

        Raises
        ------
        InputError
            If pandas is not installed (``batchprophet[frames]``).
        """
        names = [each.name for each in fields(RegretRow)]
        return frame({name: [getattr(row, name) for row in self.rows] for name in names})


@dataclass(slots=True)
class _Tally:
    """Outcomes of one policy at one horizon, as they come."""

    regret: list[Exact] = field(default_factory=list)
    hindsight: list[Exact] = field(default_factory=list)
    residual: Exact = 0
    smallest: list[Exact] = field(default_factory=list)
    by_time: list[FloatArray] = field(default_factory=list)
    by_part: list[Mapping[str, float]] = field(default_factory=list)
    to_bound: list[Exact | None] = field(default_factory=list)
    requests: list[int | None] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.regret.append(outcome.regret)
        self.hindsight.append(outcome.hindsight)
        self.residual = max(self.residual, abs(Fraction(outcome.residual)))
        self.smallest.append(outcome.smallest)
        self.by_time.append(outcome.by_time)
        self.by_part.append(outcome.by_part)
        self.to_bound.append(None if outcome.bound is None else outcome.bound - outcome.value)
        self.requests.append(outcome.requests)

    def row(self, policy: str, horizon: int, benchmark: str) -> RegretRow:
        regret = [float(r) for r in self.regret]
        hindsight = float(np.mean([float(v) for v in self.hindsight]))
        residual = self.residual
        return RegretRow(
            policy=policy,
            horizon=horizon,
            replications=len(regret),
            benchmark=benchmark,
            regret=float(np.mean(regret)),
            half_width=half_width(regret),
            identity_residual=int(residual) if residual == int(residual) else float(residual),
            smallest_compensation=float(min(self.smallest)),
            benchmark_value=hindsight,
            value=hindsight - float(np.mean(regret)),
            regret_to_bound=_mean(self.to_bound),
            regret_per_request=_ratio(regret, self.requests),
        )

    def decomposition(self, policy: str, horizon: int) -> Decomposition:
        parts = self.by_part[0].keys()
        return Decomposition(
            policy=policy,
            horizon=horizon,
            by_time=np.mean(self.by_time, axis=0),
            by_part={part: float(np.mean([p[part] for p in self.by_part])) for part in parts},
        )


def _mean(values: Sequence[Exact | None]) -> float | None:
    """Mean of values; None where some are missing."""
    there = [float(value) for value in values if value is not None]
    return float(np.mean(there)) if len(there) == len(values) else None


def _ratio(regret: Sequence[float], requests: Sequence[int | None]) -> float | None:
    """Regret by requests, both summed over the paths; None where some are not counted."""
    counted = [count for count in requests if count is not None]
    return sum(regret) / sum(counted) if len(counted) == len(requests) else None


def measure_regret(
    environment: Environment,
    *,
    policies: Sequence[str] | None = None,
    horizons: Sequence[int] | None = None,
    replications: int = 100,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> RegretStudy:
    """Measure the regret of policies at several horizons.

    Every policy sees the same paths; path k at a horizon depends on nothing but the seed, k and
    the horizon.

    Parameters
    ----------
    environment : Environment
        Where.
    policies : sequence of str, optional
        Names, and in the environments of latency any specification ``NAME[:key=value,…]`` or
        ``module:Class`` of their regime; all of the environment by default.
    horizons : sequence of int, optional
        T's, each at least 1; those of the environment by default.
    replications : int
        Paths at each horizon, ≥ 1.
    seed : int
        ≥ 0.
    progress : callable, optional
        Told in a few words what is being done.

    Returns
    -------
    RegretStudy
        Rows, growth and decomposition.

    Raises
    ------
    InputError
        If a policy, a horizon or a number cannot be used.

    Examples
    --------
    >>> from batchprophet.online.environments import make_environment
    >>> study = measure_regret(
    ...     make_environment("online-packing"), policies=["bayes"], horizons=[50], replications=9
    ... )
    >>> study.rows[0].identity_residual, study.rows[0].replications
    (0, 9)
    """
    chosen = require_policies(environment, policies)
    spans = require_horizons(environment.horizons if horizons is None else horizons)
    if replications < 1:
        raise InputError(f"replications: expected at least 1, found {replications}")
    prepared = {T: environment.experiment(T, chosen) for T in spans}
    tallies: dict[tuple[int, str], _Tally] = {}
    interrupted = False
    try:
        for T, replicate in prepared.items():
            for k in range(replications):
                if progress is not None:
                    progress(f"horizon {T:,}, path {k + 1} of {replications}")
                rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(T, k)))
                outcomes = replicate(rng)
                for policy in chosen:
                    tallies.setdefault((T, policy), _Tally()).add(outcomes[policy])
    except KeyboardInterrupt:
        interrupted = True
        if not tallies:
            raise
    rows = tuple(
        tally.row(policy, T, environment.benchmark(T)) for (T, policy), tally in tallies.items()
    )
    return RegretStudy(
        environment=environment.name,
        rows=rows,
        growth={policy: _growth(policy, tallies) for policy in chosen},
        decompositions=tuple(t.decomposition(p, T) for (T, p), t in tallies.items()),
        interrupted=interrupted,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactValues:
    """Values by recursion.

    Attributes
    ----------
    fluid : Fraction
        Value of the fluid problem at the first horizon, which bounds every value there.
    rows : tuple of (policy, horizon, value)
        By horizon, then in the order of the policies.
    """

    fluid: Fraction
    rows: tuple[tuple[str, int, float], ...]

    def __repr__(self) -> str:
        return f"ExactValues(fluid={float(self.fluid):g}, rows={elided(self.rows)})"

    def _repr_html_(self) -> str:
        rows = [(policy, f"{T:,}", f"{value:.4f}") for policy, T, value in self.rows]
        columns = ["policy", "horizon", "value"]
        return html_table(f"exact values, fluid {float(self.fluid):g}", columns, len(rows), rows)

    def to_record(self) -> dict[str, Any]:
        """Return the values as ``--json`` prints them."""
        rows = [{"policy": p, "horizon": T, "value": value} for p, T, value in self.rows]
        return {"rows": rows, "fluid": float(self.fluid)}


def exact_values(
    environment: Environment,
    *,
    policies: Sequence[str] | None = None,
    horizons: Sequence[int] | None = None,
) -> ExactValues:
    """Compute the expected rewards of policies by recursion.

    Raises
    ------
    InputError
        If the environment has no recursion, or a policy or a horizon cannot be used.

    Examples
    --------
    >>> from batchprophet.online.environments import make_environment
    >>> found = exact_values(make_environment("online-packing"), policies=["resolve"])
    >>> found.rows[0][2].__round__(4)
    767.2869
    """
    if not hasattr(environment, "exact_value"):
        raise InputError(
            f"{environment.name}: has no recursion for exact values; leave out --exact"
        )
    recursive: Recursive = environment  # type: ignore[assignment]  # as just looked
    chosen = require_policies(environment, policies)
    spans = require_horizons([recursive.exact_horizon()] if horizons is None else horizons)
    fluid = recursive.fluid_value(spans[0])
    rows = [(p, T, recursive.exact_value(p, T)) for T in spans for p in chosen]
    return ExactValues(fluid=fluid, rows=tuple(rows))


def require_policies(environment: Environment, policies: Sequence[str] | None) -> tuple[str, ...]:
    """Return the policies by name, all of them known and none twice.

    An environment whose policies are those of a regime takes all of the regime's, with their
    options, and ``module:Class`` (its method ``require_policy`` says so); the others decide
    something else, and have their own only.
    """
    if policies is None:
        return environment.policies
    require = getattr(environment, "require_policy", None)
    for policy in policies:
        if require is not None:
            require(policy)
        elif policy not in environment.policies:
            raise InputError(
                f"policies: {environment.name} has {', '.join(environment.policies)}; found "
                f"{policy!r}"
            )
    if len(set(policies)) != len(policies) or not policies:
        raise InputError(f"policies: expected different names, found {', '.join(policies)!r}")
    return tuple(policies)


def require_horizons(horizons: Sequence[int]) -> tuple[int, ...]:
    """Return the horizons, increasing, all of at least 1 and none twice."""
    if not horizons or min(horizons) < 1 or len(set(horizons)) != len(horizons):
        listed = ", ".join(map(str, horizons))
        raise InputError(f"horizons: expected different integers of at least 1, found {listed!r}")
    return tuple(sorted(horizons))


def _growth(policy: str, tallies: Mapping[tuple[int, str], _Tally]) -> Growth | None:
    """Fit the horizons at which there are two replications or more."""
    found = {
        T: np.array([float(r) for r in tally.regret])
        for (T, name), tally in tallies.items()
        if name == policy and len(tally.regret) > 1
    }
    errors = [float(np.std(r, ddof=1) / np.sqrt(r.size)) for r in found.values()]
    return fit_growth(list(found), [float(r.mean()) for r in found.values()], errors)
