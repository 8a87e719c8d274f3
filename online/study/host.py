"""Facts about the machine and the packages that results come from."""

from __future__ import annotations

import json
import os
import platform
from functools import lru_cache
from importlib import metadata

#: Packages that what comes out may depend on.
_PACKAGES = ("batchprophet", "numpy", "numba", "scipy", "highspy", "pyomo")


@lru_cache(maxsize=1)
def machine_facts() -> str:
    """Return facts about this machine and its packages, as JSON."""
    facts = {
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: metadata_version(name) for name in _PACKAGES},
    }
    return json.dumps(facts)


@lru_cache(maxsize=16)
def metadata_version(package: str) -> str:
    """Version of an installed package; "" if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel's table
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:  # not Linux
        names = []
    return names[0] if names else platform.processor()
