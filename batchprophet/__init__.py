"""batchprophet: hindsight-optimal LLM-inference scheduling, and how far each policy is from it.

Nothing heavy is imported before it is used: the names below load their modules on first access.

Examples
--------
>>> import batchprophet as bp
>>> instance = bp.Instance(
...     gpu=bp.Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2]
... )
>>> bp.simulate(instance, "mc-sf").metrics.total_latency
7
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models.batch_time import AffineTime, ConstantTime, UnitTime
    from .models.errors import (
        BatchprophetError,
        DoesNotFinish,
        InfeasibleError,
        InputError,
        PolicyError,
    )
    from .models.files import read_instance, read_schedule, write_instance
    from .models.instance import Gpu, Instance
    from .models.metrics import Metrics
    from .models.schedule import Eviction, MixedSchedule
    from .models.violation import Violation
    from .online.evaluation import Comparison, PolicyResult
    from .online.policy import Decision, Observation, Policy, RequestView
    from .results import Checked, CheckedBound, Compared, Converted, Simulated, Solved
    from .solvers.certificates.certificate import Certificate
    from .solvers.certificates.file import read_certificate, write_certificate
    from .solvers.certificates.verification import Verification
    from .solvers.progress import Progress
    from .solvers.solution import Solution
    from .verbs import check, compare, convert, demo, load, make, policies, simulate, solve
    from .versions import show_versions

#: Public names by the module that has them.
_NAMES = {
    "models.batch_time": ("AffineTime", "ConstantTime", "UnitTime"),
    "models.errors": (
        "BatchprophetError",
        "DoesNotFinish",
        "InfeasibleError",
        "InputError",
        "PolicyError",
    ),
    "models.files": ("read_instance", "read_schedule", "write_instance"),
    "models.instance": ("Gpu", "Instance"),
    "models.metrics": ("Metrics",),
    "models.schedule": ("Eviction", "MixedSchedule"),
    "models.violation": ("Violation",),
    "online.evaluation": ("Comparison", "PolicyResult"),
    "online.policy": ("Decision", "Observation", "Policy", "RequestView"),
    "results": ("Checked", "CheckedBound", "Compared", "Converted", "Simulated", "Solved"),
    "solvers.certificates.certificate": ("Certificate",),
    "solvers.certificates.file": ("read_certificate", "write_certificate"),
    "solvers.certificates.verification": ("Verification",),
    "solvers.progress": ("Progress",),
    "solvers.solution": ("Solution",),
    "verbs": (
        "check",
        "compare",
        "convert",
        "demo",
        "load",
        "make",
        "policies",
        "simulate",
        "solve",
    ),
    "versions": ("show_versions",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "AffineTime",
    "BatchprophetError",
    "Certificate",
    "Checked",
    "CheckedBound",
    "Compared",
    "Comparison",
    "ConstantTime",
    "Converted",
    "Decision",
    "DoesNotFinish",
    "Eviction",
    "Gpu",
    "InfeasibleError",
    "InputError",
    "Instance",
    "Metrics",
    "MixedSchedule",
    "Observation",
    "Policy",
    "PolicyError",
    "PolicyResult",
    "Progress",
    "RequestView",
    "Simulated",
    "Solution",
    "Solved",
    "UnitTime",
    "Verification",
    "Violation",
    "__version__",
    "check",
    "compare",
    "convert",
    "demo",
    "load",
    "make",
    "policies",
    "read_certificate",
    "read_instance",
    "read_schedule",
    "show_versions",
    "simulate",
    "solve",
    "write_certificate",
    "write_instance",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("batchprophet")
    if name not in _MODULES:
        raise AttributeError(f"module 'batchprophet' has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
