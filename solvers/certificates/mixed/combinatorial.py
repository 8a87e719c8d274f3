"""Proofs that need no multipliers: the instance's data are enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import require_keys, shown, text
from . import areas, one_long_request

_Routine = Callable[[Instance, Clock], Exact]


def _plain(routine: Callable[[Instance], Exact]) -> _Routine:
    return lambda instance, _: routine(instance)


def _at_arrival(objective: str) -> dict[str, _Routine]:
    return {"starts at arrival": _plain(partial(areas.value_at_arrival, objective=objective))}


#: What recomputes the bounds of a machine, by objective and what follows its name.
_MACHINE: Mapping[str, Mapping[str, Callable[..., Exact]]] = MappingProxyType(
    {
        "latency": {
            ", shortest remaining first": areas.shortest_remaining_first,
            ", mean busy time": areas.mean_busy_times,
        },
        "weighted": {", mean busy time": areas.weighted_mean_busy_times},
        "tardiness": {", mean busy time": areas.tardy_mean_busy_times},
        "makespan": {" from each arrival on": areas.latest_end},
        "reward": {", fractional knapsack": areas.knapsack},
    }
)


def _routines(objective: str) -> dict[str, _Routine]:
    """Return what recomputes each bound of `bounds.combinatorial`, by name."""
    found = _at_arrival(objective)
    for of in (areas.KV_AREA, areas.SEATS, areas.TOKENS):
        for name, routine in _MACHINE[objective].items():
            found[of + name] = _plain(partial(routine, of=of))
    return found


#: What recomputes each bound of `bounds.combinatorial`, by objective and name, and the optimum of
#: `bounds.one_long_request`, which is a lower bound where rounds are limited.
ROUTINES: Mapping[str, Mapping[str, _Routine]] = MappingProxyType(
    {
        "latency": _routines("latency") | {"one long request": one_long_request.optimum},
        **{
            objective: _routines(objective)
            for objective in ("weighted", "tardiness", "makespan", "reward")
        },
    }
)

_NAMES = tuple(dict.fromkeys(name for routines in ROUTINES.values() for name in routines))


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinatorialBound:
    """A bound that anyone can recompute from the instance.

    Parameters
    ----------
    name : str
        One of `ROUTINES`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    >>> proof = CombinatorialBound(name="KV area, shortest remaining first")
    >>> proof.bound(instance, "latency", Clock(None))
    Fraction(32, 5)
    """

    name: str

    kind: ClassVar[str] = "combinatorial"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = tuple(ROUTINES)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound; but for "one long request" in O(n log n) steps."""
        clock.check()
        routines = ROUTINES[objective]
        if self.name not in routines:
            known = "; ".join(routines)
            raise InputError(
                f"proof.name: expected a bound on {objective} ({known}), found {self.name!r}"
            )
        return routines[self.name](instance, clock)

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "name": self.name}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CombinatorialBound:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "name"))
        name = text("proof.name", record["name"])
        if name not in _NAMES:
            raise InputError(
                f"proof.name: expected one of {'; '.join(_NAMES)}, found {shown(name)}"
            )
        return cls(name=name)
