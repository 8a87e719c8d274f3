"""Continuous batching, as `online.regimes` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.continuous.regime import CONTINUOUS as RULES
from ...models.instance import Instance
from ..regime import OnlineRegime
from .conformance import begun, decided, random_instance
from .engine import ENGINE
from .policy import REGISTRY
from .simulator import simulate_continuous

if TYPE_CHECKING:
    from ...models.continuous.schedule import ContinuousSchedule
    from .latency_breakdown import TimeAccount


def _latency_breakdown(instance: Instance, schedule: ContinuousSchedule) -> TimeAccount:
    from .latency_breakdown import account  # its compiled code is not for those who list policies

    return account(instance, schedule)


CONTINUOUS = OnlineRegime(
    rules=RULES,
    registry=REGISTRY,
    simulate=simulate_continuous,
    random_instance=random_instance,
    decided=decided,
    begun=begun,
    latency_breakdown=_latency_breakdown,
    engine=ENGINE,
    kernels=(
        ("online.continuous.kernels", "run"),
        ("online.continuous.breakdown_kernels", "follow"),
    ),
    samples=("vllm", "least-work"),
)
