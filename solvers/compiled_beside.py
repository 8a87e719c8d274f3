"""Compile part of the code in a second process: what it leaves in numba's cache is loaded here.

numba compiles one function at a time in a process, so a second core helps only another process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType


class CompiledBeside:
    """Calls a function of the package in a process of its own, as long as the context lasts.

    Whether it succeeds makes no difference but in time: what is not in the cache is compiled where
    it is run. On one core nothing is started.

    Parameters
    ----------
    module, function : str
        A module, relative to ``batchprophet``, and a function in it.
    *arguments : str
        What the function takes.
    needed : bool
        False: nothing is started.

    Examples
    --------
    >>> with CompiledBeside("solvers.compiled_beside", "_nothing") as beside:
    ...     beside.join()
    """

    def __init__(self, module: str, function: str, *arguments: str, needed: bool = True) -> None:
        package = __name__.partition(".")[0]
        taken = ", ".join(map(repr, arguments))
        self._code = f"from {package}.{module} import {function}; {function}({taken})"
        self._needed = needed
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> CompiledBeside:
        if self._needed and (os.cpu_count() or 1) > 1 and sys.executable:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return self

    def join(self) -> None:
        """Wait until the function returns."""
        if self._process is not None:
            self._process.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _nothing() -> None:
    """Do nothing, for the example."""
