"""Separate batching, as `online.regimes` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.instance import Instance, IntArray
from ...models.separate.regime import SEPARATE as RULES
from ..regime import OnlineRegime
from .conformance import begun, decided, random_instance
from .engine import ENGINE
from .orca import Orca
from .policy import REGISTRY
from .simulator import simulate_separate

if TYPE_CHECKING:
    from ...models.separate.schedule import SeparateSchedule
    from .latency_breakdown import TimeAccount


def _orca(instance: Instance) -> IntArray:
    return Orca().run(instance).completion


def _latency_breakdown(instance: Instance, schedule: SeparateSchedule) -> TimeAccount:
    from .latency_breakdown import account  # its compiled code is not for those who list policies

    return account(instance, schedule)


SEPARATE = OnlineRegime(
    rules=RULES,
    registry=REGISTRY,
    simulate=simulate_separate,
    random_instance=random_instance,
    decided=decided,
    begun=begun,
    references={Orca.name: _orca},
    latency_breakdown=_latency_breakdown,
    engine=ENGINE,
    kernels=(("online.separate.kernels", "_run"), ("online.separate.blocked", "_blocked")),
    samples=("prefill-first",),
)
