"""Bounds of separate batching for a worst case: the search without prices is run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...models.instance import Instance
from ...models.separate.schedule import SeparateSchedule
from ...solvers.certificates.strict import integer, require_keys
from ...solvers.separate.exact.search import search_states


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """The search over all states of separate batching, with a limit on its work.

    Attributes
    ----------
    work_limit : int
        Labels that it may expand, ≥ 1: as many as it took when the bound was found.
    """

    work_limit: int

    kind: ClassVar[str] = "rerun-exhaustion"

    def bound(self, instance: Instance, schedule: SeparateSchedule) -> int:
        """Search again for better schedules than this feasible one; return the proved bound."""
        return search_states(instance, schedule, work_limit=self.work_limit).bound

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "work_limit": self.work_limit}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Rerun:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "work_limit"))
        return cls(work_limit=integer("proof.work_limit", record["work_limit"], low=1))
