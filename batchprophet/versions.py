"""Versions of what a result depends on."""

from __future__ import annotations

import platform
import re
from importlib import metadata


def show_versions() -> str:
    """Print, and return, the versions of Python, platform, package and dependencies.

    Returns
    -------
    str
        One ``name  version`` per line, for bug reports.

    Examples
    --------
    >>> "highspy" in show_versions()  # doctest: +ELLIPSIS
    python ...
    True
    """
    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "batchprophet": metadata.version("batchprophet"),
    }
    for requirement in metadata.requires("batchprophet") or []:
        if "extra ==" not in requirement:
            name = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0]
            versions[name] = metadata.version(name)
    text = "\n".join(f"{name.ljust(12)}  {version}" for name, version in versions.items())
    print(text)
    return text
