"""Modules under the names that they had before version 0.2: still importable, with a warning.

Only those that documentation and notebooks named. To be removed in version 0.3.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_PACKAGE = __name__.partition(".")[0]

#: New names by old ones, relative to the package; the contents of a folder have moved with it.
MOVED = {
    "models.metrics": "models.mixed.metrics",
    "models.mixed.decode": "models.mixed.milp.from_variables",
    "models.mixed.formulation": "models.mixed.milp.formulation",
    "models.mixed.horizon": "models.mixed.milp.horizon",
    "models.network": "models.mixed.conflict_graph",
    "models.schedule": "models.mixed.schedule",
    "models.schedules": "models.regimes",
    "models.separate.decode": "models.separate.milp.from_variables",
    "models.separate.durations": "models.durations",
    "models.separate.formulation": "models.separate.milp.formulation",
    "models.separate.horizon": "models.separate.milp.horizon",
    "models.separate.network": "models.separate.milp.network",
    "online.adversary.adaptive": "online.mixed.adaptive_adversaries",
    "online.conformity": "online.conformance",
    "online.coupling.packing": "online.packing.problem",
    "online.coupling.packing_recursion": "online.packing.recursion",
    "online.decision": "online.mixed.decision",
    "online.environments.admission": "online.separate.admission",
    "online.environments.packing": "online.packing.environment",
    "online.observation": "online.mixed.observation",
    "online.policies": "online.mixed.policies",
    "online.policy": "online.mixed.policy",
    "online.scanning": "online.mixed.scanning",
    "online.separate.account": "online.separate.latency_breakdown",
    "online.simulator": "online.mixed.simulator",
    "palette": "pictures.palette",
    "panels": "pictures.panels",
    "plots": "pictures.plots",
    "regret_plots": "pictures.regret",
    "solvers.bounds": "solvers.mixed.bounds",
    "verbs": "api",
}


def new_name(old: str) -> str | None:
    """Return the new name of a module; None if it has not moved.

    Examples
    --------
    >>> new_name("online.policies.mc_sf"), new_name("models.instance")
    ('online.mixed.policies.mc_sf', None)
    """
    for prefix, place in MOVED.items():
        if old == prefix or old.startswith(f"{prefix}."):
            return place + old.removeprefix(prefix)
    return None


class _Finder(MetaPathFinder):
    """Finds modules by their old names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, old = fullname.partition(".")
        new = new_name(old) if package == _PACKAGE else None
        return None if new is None else ModuleSpec(fullname, _Loader(new), is_package=True)


class _Loader(Loader):
    """Loads the module of the new name under the old one."""

    def __init__(self, new: str) -> None:
        self.new = f"{_PACKAGE}.{new}"

    def exec_module(self, module: ModuleType) -> None:
        message = f"{module.__name__} is now {self.new}; the old name is removed in version 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = import_module(self.new)


def install() -> None:
    """Let the old names be imported."""
    sys.meta_path.insert(0, _Finder())
