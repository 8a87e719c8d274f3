"""What an environment is: a law of sample paths, policies, and the benchmark of their regret."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from ...models.errors import InputError
from ...models.families.setting import Setting, Value
from ...models.instance import FloatArray
from ...models.objectives import Exact
from .list_setting import ListSetting

#: Bins over the horizon in which compensations are added up.
BINS = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """One policy on one sample path.

    Attributes
    ----------
    value, hindsight : int, Fraction or float
        What it earned, and what the benchmark earns on the path.
    by_time : ndarray of float64, shape (BINS,)
        Compensations by time of the decision, in equal bins over the horizon.
    by_part : mapping of str to float
        Compensations by what was decided, for example ``"reject type 2"``.
    residual : int, Fraction or float
        ``regret − Σ compensations``.
    smallest : int, Fraction or float
        The smallest compensation, of a single decision or of the smallest group that is counted.
    bound : int, Fraction or float, optional
        No schedule earns more than this on the path, where the benchmark is not the optimum.
    requests : int, optional
        Number of requests on the path, where regret per request is of interest.
    """

    value: Exact
    hindsight: Exact
    by_time: FloatArray
    by_part: Mapping[str, float]
    residual: Exact
    smallest: Exact
    bound: Exact | None = None
    requests: int | None = None

    @property
    def regret(self) -> Exact:
        """Benchmark less value."""
        return self.hindsight - self.value


#: Runs every policy on one path drawn from the generator: common random numbers.
Replicate = Callable[[np.random.Generator], Mapping[str, Outcome]]


class Environment(Protocol):
    """A law of sample paths at every horizon, with policies and a benchmark.

    Attributes
    ----------
    name : str
        As on the command line.
    policies : tuple of str
        The policies that it has, in the order of tables.
    horizons : tuple of int
        Horizons by default, increasing.
    """

    @property
    def name(self) -> str:
        """Name on the command line."""
        ...

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies that it has."""
        ...

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons by default."""
        ...

    def benchmark(self, horizon: int) -> str:
        """Say what regret is measured against."""
        ...

    def experiment(self, horizon: int, policies: Sequence[str]) -> Replicate:
        """Prepare replications at a horizon.

        Raises
        ------
        InputError
            If the horizon cannot be used.
        """
        ...


class Recursive(Environment, Protocol):
    """An environment whose policies' values are known by recursion."""

    def exact_horizon(self) -> int:
        """Horizon at which values are asked for by default."""
        ...

    def exact_value(self, policy: str, horizon: int) -> float:
        """Return a policy's expected reward."""
        ...

    def fluid_value(self, horizon: int) -> Fraction:
        """Return the value of the fluid problem."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentKind:
    """A named environment with its settings.

    Attributes
    ----------
    name, description, source : str
        For lists.
    settings : tuple
        What may be set.
    build : callable
        ``build(**settings) -> Environment``.
    """

    name: str
    description: str
    source: str
    settings: tuple[Setting | ListSetting, ...]
    build: Callable[..., Environment]

    def make(self, given: Mapping[str, object]) -> Environment:
        """Build the environment with the settings given, the others at their defaults.

        Raises
        ------
        InputError
            If a key is unknown, or a value has a wrong type or range.
        """
        known = {setting.name: setting for setting in self.settings}
        for key in given:
            if key not in known:
                raise InputError(
                    f"{self.name}: expected settings among {', '.join(known)}; found {key!r}"
                )
        values: dict[str, Value | tuple[Any, ...] | None] = {}
        try:
            for key, setting in known.items():
                values[key] = setting.read(given[key]) if key in given else setting.default
            return self.build(**values)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error


def time_bins(horizon: int) -> FloatArray:
    """Edges of the `BINS` equal bins over the horizon, shape (BINS + 1,)."""
    return np.linspace(0.0, horizon, BINS + 1)
