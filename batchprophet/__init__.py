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

if TYPE_CHECKING:  # `as` makes names public for type checkers
    from .api import check as check
    from .api import compare as compare
    from .api import compare_both as compare_both
    from .api import convert as convert
    from .api import demo as demo
    from .api import load as load
    from .api import make as make
    from .api import policies as policies
    from .api import simulate as simulate
    from .api import solve as solve
    from .audits.api import audit as audit
    from .audits.api import calibrate as calibrate
    from .audits.audited import Audited as Audited
    from .audits.audited import Calibrated as Calibrated
    from .audits.audited import CalibratedSteps as CalibratedSteps
    from .models.batch_time import AffineTime as AffineTime
    from .models.batch_time import ConstantTime as ConstantTime
    from .models.batch_time import UnitTime as UnitTime
    from .models.errors import BatchprophetError as BatchprophetError
    from .models.errors import DoesNotFinish as DoesNotFinish
    from .models.errors import InfeasibleError as InfeasibleError
    from .models.errors import InputError as InputError
    from .models.errors import PolicyError as PolicyError
    from .models.files.instance_file import read_instance as read_instance
    from .models.files.instance_file import write_instance as write_instance
    from .models.files.solution_file import read_schedule as read_schedule
    from .models.instance import Gpu as Gpu
    from .models.instance import Instance as Instance
    from .models.mixed.metrics import Metrics as Metrics
    from .models.mixed.schedule import Eviction as Eviction
    from .models.mixed.schedule import MixedSchedule as MixedSchedule
    from .models.separate.metrics import SeparateMetrics as SeparateMetrics
    from .models.separate.schedule import Batch as Batch
    from .models.separate.schedule import SeparateSchedule as SeparateSchedule
    from .models.violation import Violation as Violation
    from .online.evaluation import Comparison as Comparison
    from .online.evaluation import PolicyResult as PolicyResult
    from .online.mixed.policy import Decision as Decision
    from .online.mixed.policy import Observation as Observation
    from .online.mixed.policy import Policy as Policy
    from .online.mixed.policy import RequestView as RequestView
    from .online.separate.decision import BatchDecision as BatchDecision
    from .online.separate.latency_breakdown import TimeAccount as TimeAccount
    from .online.separate.observation import SeparateObservation as SeparateObservation
    from .online.separate.observation import SeparateView as SeparateView
    from .online.separate.policy import SeparatePolicy as SeparatePolicy
    from .online.separate.price import Price as Price
    from .results.checked import Checked as Checked
    from .results.checked import CheckedBound as CheckedBound
    from .results.compared import Compared as Compared
    from .results.compared import ComparedBoth as ComparedBoth
    from .results.converted import Converted as Converted
    from .results.simulated import Simulated as Simulated
    from .results.solved import Solved as Solved
    from .solvers.certificates.certificate import Certificate as Certificate
    from .solvers.certificates.file import read_certificate as read_certificate
    from .solvers.certificates.file import write_certificate as write_certificate
    from .solvers.certificates.verification import Verification as Verification
    from .solvers.progress import Progress as Progress
    from .solvers.solution import Solution as Solution
    from .versions import show_versions as show_versions

#: Public names by the module that has them.
_NAMES = {
    "audits.api": ("audit", "calibrate"),
    "audits.audited": ("Audited", "Calibrated", "CalibratedSteps"),
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

__all__ = ["__version__", *sorted(_MODULES)]

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
