"""Where cells are run: processes of this machine, or a Dask cluster, behind one interface.

Both are executors of `concurrent.futures`; the runner knows nothing else of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from ...models.errors import InputError

#: Seconds for which the number of a cluster's threads is taken to be what it was.
SLOTS_SECONDS = 1.0

#: Seconds that processes have to end by themselves when all is done.
FAREWELL_SECONDS = 5.0

#: Seconds that a scheduler has to answer.
ANSWER_SECONDS = 10.0


class Engine(Protocol):
    """What the runner needs of a place that runs cells.

    Attributes
    ----------
    lost : tuple of exception types
        What a future raises when the process that ran it has ended.
    """

    lost: tuple[type[BaseException], ...]

    def open(self) -> Executor:
        """Return an executor; a new one if the last was broken."""
        ...

    def slots(self) -> int:
        """Return how many cells can run at once now, at least 1."""
        ...

    def finish(self) -> None:
        """Leave when nothing runs: processes end by themselves, and clean up."""
        ...

    def close(self) -> None:
        """End what runs, at once."""
        ...


class LocalProcesses:
    """Processes of this machine.

    They are started afresh (never forked from a process with threads), share the imported package
    where the system can, leave keyboard interrupts to the process that started them, and end when
    it ends, however it ends.

    Parameters
    ----------
    jobs : int
        How many, ≥ 1.

    Raises
    ------
    InputError
        If `jobs` is out of range.
    """

    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise InputError(f"jobs: expected at least 1, found {jobs}")
        self.jobs = jobs
        self._context = _context()
        self._executor: ProcessPoolExecutor | None = None
        self._others: set[int | None] = set()

    def open(self) -> Executor:
        """Start processes, after ending those of a broken executor."""
        self.close()
        self._others = {process.pid for process in multiprocessing.active_children()}
        self._executor = ProcessPoolExecutor(
            self.jobs, mp_context=self._context, initializer=_begin_worker
        )
        return self._executor

    def slots(self) -> int:
        """Return the number of processes."""
        return self.jobs

    def finish(self) -> None:
        """Let the processes end, so that what they hold of the system is given back.

        One that does not within `FAREWELL_SECONDS` is ended.
        """
        if self._executor is None:
            return
        self._executor.shutdown(wait=False)
        deadline = time.monotonic() + FAREWELL_SECONDS
        for process in self._mine():
            connection.wait([process.sentinel], max(0.0, deadline - time.monotonic()))
        self.close()

    def _mine(self) -> list[BaseProcess]:
        children = multiprocessing.active_children()
        return [process for process in children if process.pid not in self._others]

    def close(self) -> None:
        """End the processes, whatever they do."""
        if self._executor is None:
            return
        mine = self._mine()
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in mine:
            process.terminate()
        for process in mine:
            process.join()
        self._executor = None


class DaskCluster:
    """The workers of a Dask cluster (the extra ``[dask]``).

    Parameters
    ----------
    address : str
        Of its scheduler, as ``tcp://host:8786``; it is called when cells are to be run.

    Raises
    ------
    InputError
        If Dask is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed.scheduler import KilledWorker
        except ImportError as error:
            raise InputError(
                "scheduler: needs Dask, found none; install batchprophet[dask]"
            ) from error
        self.address = address
        self.lost: tuple[type[BaseException], ...] = (KilledWorker,)
        self._client: Any = None
        self._slots, self._asked = 1, -SLOTS_SECONDS

    def open(self) -> Executor:
        """Return the cluster as an executor; its scheduler replaces lost workers itself.

        Raises
        ------
        InputError
            If the scheduler does not answer.
        """
        self._client = self._client or self._connect()
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def slots(self) -> int:
        """Return the threads of all workers there are now, asked for once a second."""
        if time.monotonic() - self._asked >= SLOTS_SECONDS:
            self._asked = time.monotonic()
            self._slots = max(1, sum(self._client.nthreads().values()))
        return self._slots

    def finish(self) -> None:
        """Leave; the cluster stays."""
        self.close()

    def close(self) -> None:
        """Cancel what runs and leave; the cluster stays."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> Any:
        import distributed

        try:
            client: Any = distributed.Client
            return client(self.address, timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split())
            raise InputError(f"scheduler: {self.address}: cannot be reached ({text})") from error


def default_jobs() -> int:
    """Cores that this process may use.

    Examples
    --------
    >>> default_jobs() >= 1
    True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _context() -> Any:
    """A server that imports the package once, where the system has it, else fresh starts.

    The server begins to import at once, while this process goes on.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Pyomo comes with the MILP, and makes a lock: here once, instead of one in each process.
    package = __package__.rpartition(".online.")[0]
    context.set_forkserver_preload([f"{__package__}.cell_runner", f"{package}.solvers.mixed.milp"])
    forkserver.ensure_running()
    return context


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it has: nothing waits for its results."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
