"""One measurement in a process of its own: its memory is its own, and its crash or overrun too."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from case import Case
from methods import METHODS, first_schedule

from batchprophet.models import BatchprophetError
from batchprophet.models.families import make_instance
from batchprophet.solvers import Solution, compile_first
from batchprophet.solvers.separate import load_compiled_code

#: Seconds for the warm-up (imports and compiled code), before the clock starts.
WARM_UP_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a measurement.

    Attributes
    ----------
    solution : Solution or None
        What the method returned; None if it did not.
    failure : str
        "", "overrun", "out of memory", "crashed" or "contradiction".
    account : str
        What the method says it did, or what went wrong.
    seconds : float
        Wall-clock time of the method, without the warm-up.
    cpu_seconds : float or None
        CPU time of the method, over all threads; None if it was stopped.
    peak_mib : float or None
        Peak memory of the process in MiB; None where the platform does not tell.
    """

    solution: Solution | None = None
    failure: str = ""
    account: str = ""
    seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_mib: float | None = None


def measure(method: str, case: Case, *, overrun: float, memory_mib: float) -> Outcome:
    """Run a method in a new process.

    Parameters
    ----------
    method : str
        A name of `METHODS`.
    case : Case
        The case.
    overrun : float
        Seconds beyond its time limit after which the method is stopped.
    memory_mib : float
        Memory in MiB beyond which it is stopped (where the platform tells).
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, method, case), daemon=True)
    process.start()
    sender.close()
    try:
        return _watch(process, receiver, case.time_limit + overrun, memory_mib)
    finally:
        process.kill()
        process.join()
        receiver.close()


def _watch(
    process: BaseProcess, receiver: Connection, most_seconds: float, memory_mib: float
) -> Outcome:
    """Wait for the outcome; stop the process where it takes too long or too much memory."""
    limit, began, peak = WARM_UP_SECONDS, time.perf_counter(), None
    while True:
        try:
            message = receiver.recv() if receiver.poll(0.1) else None
        except EOFError:
            process.join()
            account = f"the process ended with exit code {process.exitcode}"
            return Outcome(failure="crashed", account=account, seconds=_since(began), peak_mib=peak)
        if isinstance(message, Outcome):
            return message
        if message == "ready":
            limit, began = most_seconds, time.perf_counter()
        peak = _peak_of(process.pid) or peak
        if peak is not None and peak > memory_mib:
            account = f"stopped beyond {memory_mib:g} MiB"
            return Outcome(
                failure="out of memory", account=account, seconds=_since(began), peak_mib=peak
            )
        if _since(began) > limit:
            account = f"stopped after {limit:g} s"
            return Outcome(failure="overrun", account=account, seconds=_since(began), peak_mib=peak)


def _work(sender: Connection, method: str, case: Case) -> None:
    """Warm up, say so, solve, send the outcome: all that the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    os.dup2(2, 1)  # what a solver's library prints is not part of the tables
    _warm_up(method, case)
    sender.send("ready")
    began, cpu_began = time.perf_counter(), time.process_time()
    solution, failure = None, ""
    try:
        solution = METHODS[method](case)
        account = solution.method
    except MemoryError:
        failure, account = "out of memory", "MemoryError"
    except Exception as error:  # told to the parent, which shows it and fails at the end
        traceback.print_exc()
        failure = "contradiction" if type(error) is BatchprophetError else "crashed"
        account = f"{type(error).__name__}: {error}"
    outcome = Outcome(
        solution=solution,
        failure=failure,
        account=" ".join(account.split()),
        seconds=_since(began),
        cpu_seconds=time.process_time() - cpu_began,
        peak_mib=_own_peak(),
    )
    sender.send(outcome)
    sender.close()


def _warm_up(method: str, case: Case) -> None:
    """Solve a small instance of the same kind: imports and compiled code take time only once."""
    model = case.warm_start.model
    if method == "separate-engine":
        load_compiled_code()
    elif method == "engine":
        compile_first(model)
    if model == "separate":
        small = make_instance("separate-random", seed=0, settings={"n": 4})
    elif case.instance.gpu.kv_capacity < 1000:
        small = make_instance("arrival-model-1", seed=0, settings={"n": 7, "kv_capacity": 20})
    elif method == "engine":
        small = make_instance("lognormal-burst", seed=0, settings={"n": 60})
    else:
        small = make_instance("lognormal-burst", seed=0, settings={"n": 2, "output_median": 9})
    first = first_schedule(small, model)
    METHODS[method](Case(instance=small, warm_start=first, time_limit=2.0, threads=case.threads))


def _since(began: float) -> float:
    return time.perf_counter() - began


def _own_peak() -> float | None:
    """Peak memory of this process in MiB."""
    peak = _peak_of("self")
    if peak is None and sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return peak


def _peak_of(process: int | str | None) -> float | None:
    """Peak memory of a process in MiB from Linux's account of it; None where there is none.

    Unlike the resource usage, it does not begin with what the parent held.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    kibibytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kibibytes[0]) / 1024 if kibibytes else None
