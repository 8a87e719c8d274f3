"""Bounds of continuous batching for a worst case: the exhaustive search is run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance
from ...models.regimes import schedule_value
from ...solvers.certificates.strict import integer, require_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """The search over all states of continuous batching, with a limit on its work.

    Attributes
    ----------
    work_limit : int
        Labels that it may expand, ≥ 1.
    """

    work_limit: int

    kind: ClassVar[str] = "rerun-state-search"

    def bound(self, instance: Instance, schedule: ContinuousSchedule) -> int:
        """Search again for better schedules than this feasible one; return the proved bound."""
        from ...solvers.continuous.exact.search import search  # compiled code

        value = int(schedule_value(instance, schedule, "latency"))
        return int(search(instance, value, work_limit=self.work_limit).bound)

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "work_limit": self.work_limit}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Rerun:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "work_limit"))
        return cls(work_limit=integer("proof.work_limit", record["work_limit"], low=1))
