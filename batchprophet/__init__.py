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

from . import moved

if TYPE_CHECKING:
    from .api import (
        check,
        compare,
        compare_both,
        convert,
        demo,
        load,
        make,
        policies,
        simulate,
        solve,
    )
    from .models.batch_time import AffineTime, ConstantTime, UnitTime
    from .models.errors import (
        BatchprophetError,
        DoesNotFinish,
        InfeasibleError,
        InputError,
        PolicyError,
    )
    from .models.files.instance_file import read_instance, write_instance
    from .models.files.solution_file import read_schedule
    from .models.instance import Gpu, Instance
    from .models.mixed.metrics import Metrics
    from .models.mixed.schedule import Eviction, MixedSchedule
    from .models.separate.metrics import SeparateMetrics
    from .models.separate.schedule import Batch, SeparateSchedule
    from .models.violation import Violation
    from .online.evaluation import Comparison, PolicyResult
    from .online.mixed.policy import Decision, Observation, Policy, RequestView
    from .online.separate.decision import BatchDecision
    from .online.separate.latency_breakdown import TimeAccount
    from .online.separate.observation import SeparateObservation, SeparateView
    from .online.separate.policy import SeparatePolicy
    from .online.separate.price import Price
    from .results.checked import Checked, CheckedBound
    from .results.compared import Compared, ComparedBoth
    from .results.converted import Converted
    from .results.simulated import Simulated
    from .results.solved import Solved
    from .solvers.certificates.certificate import Certificate
    from .solvers.certificates.file import read_certificate, write_certificate
    from .solvers.certificates.verification import Verification
    from .solvers.progress import Progress
    from .solvers.solution import Solution
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
    "models.mixed.metrics": ("Metrics",),
    "models.mixed.schedule": ("Eviction", "MixedSchedule"),
    "models.separate.metrics": ("SeparateMetrics",),
    "models.separate.schedule": ("Batch", "SeparateSchedule"),
    "models.violation": ("Violation",),
    "online.evaluation": ("Comparison", "PolicyResult"),
    "online.mixed.policy": ("Decision", "Observation", "Policy", "RequestView"),
    "online.separate.latency_breakdown": ("TimeAccount",),
    "online.separate.decision": ("BatchDecision",),
    "online.separate.observation": ("SeparateObservation", "SeparateView"),
    "online.separate.policy": ("SeparatePolicy",),
    "online.separate.price": ("Price",),
    "results.checked": ("Checked", "CheckedBound"),
    "results.compared": ("Compared", "ComparedBoth"),
    "results.converted": ("Converted",),
    "results.simulated": ("Simulated",),
    "results.solved": ("Solved",),
    "solvers.certificates.certificate": ("Certificate",),
    "solvers.certificates.file": ("read_certificate", "write_certificate"),
    "solvers.certificates.verification": ("Verification",),
    "solvers.progress": ("Progress",),
    "solvers.solution": ("Solution",),
    "api": (
        "check",
        "compare",
        "compare_both",
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
    "Batch",
    "BatchDecision",
    "BatchprophetError",
    "Certificate",
    "Checked",
    "CheckedBound",
    "Compared",
    "ComparedBoth",
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
    "Price",
    "Progress",
    "RequestView",
    "SeparateMetrics",
    "SeparateObservation",
    "SeparatePolicy",
    "SeparateSchedule",
    "SeparateView",
    "Simulated",
    "Solution",
    "Solved",
    "TimeAccount",
    "UnitTime",
    "Verification",
    "Violation",
    "__version__",
    "check",
    "compare",
    "compare_both",
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

moved.install()


def __getattr__(name: str) -> Any:
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("batchprophet")
    if name not in _MODULES:
        raise AttributeError(f"module 'batchprophet' has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
