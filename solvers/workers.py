"""Where the findings of workers in other threads arrive.

The compiled searches release the interpreter, so two threads use two cores. What they find goes
through a queue to the caller's thread, which alone keeps the best schedule and the bounds.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic

from ..models.regime import ScheduleType
from .best_so_far import BestSoFar
from .certificates.proof import Proof


@dataclass(frozen=True, slots=True)
class Found(Generic[ScheduleType]):
    """What a worker has found: a schedule, a bound with its proof if there is one, or all."""

    by: str
    schedule: ScheduleType | None = None
    bound: tuple[int | float | Fraction, Proof | None] | None = None


@dataclass(slots=True)
class Mailbox(Generic[ScheduleType]):
    """Where the workers' findings arrive; only the caller's thread touches the search.

    Attributes
    ----------
    search : BestSoFar
        Where the findings go.
    deadline : float
        Seconds since the search began.
    at_once : bool
        Whether stages run in the caller's thread: what they hand in is taken at once.
    stop : threading.Event
        Set when workers have to end: all is proved, the time is up, or one of them has failed.
    """

    search: BestSoFar[ScheduleType]
    deadline: float
    at_once: bool = False
    findings: queue.SimpleQueue[Found[ScheduleType]] = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)

    def put(self, found: Found[ScheduleType]) -> None:
        """Hand in a finding."""
        if self.at_once:
            self._take(found)
        else:
            self.findings.put(found)

    def run(self, *work: Callable[[], None]) -> None:
        """Run workers to their end; a keyboard interrupt stops them and goes on up."""
        with ThreadPoolExecutor(max_workers=len(work)) as executor:
            running = [executor.submit(each) for each in work]
            try:
                while not all(future.done() for future in running) or not self.findings.empty():
                    self._wait_for_finding()
                    self._stop_after_failure(running)
            finally:
                self.stop.set()
        for future in running:
            future.result()
        while not self.findings.empty():
            self._wait_for_finding()
        self.stop.clear()

    def _wait_for_finding(self) -> None:
        try:
            found = self.findings.get(timeout=0.05)
        except queue.Empty:
            return
        self._take(found)

    def _take(self, found: Found[ScheduleType]) -> None:
        if found.schedule is not None:
            self.search.offer(found.schedule, found.by)
        if found.bound is not None:
            value, proof = found.bound
            if proof is None:
                self.search.better_bound(found.by, value)
            else:
                assert not isinstance(value, float)  # proofs are exact
                self.search.proved_bound(found.by, value, proof)
        self.search.tell(found.by)
        if self.search.proved or self.seconds_left == 0:
            self.stop.set()

    def _stop_after_failure(self, running: list[Future[None]]) -> None:
        if any(future.done() and future.exception() is not None for future in running):
            self.stop.set()

    @property
    def seconds_left(self) -> float:
        """Until the deadline, or the search's own limit; 0 after it."""
        return max(0.0, min(self.deadline, self.search.time_limit) - self.search.seconds)

    def best(self) -> ScheduleType:
        """Return the best schedule so far."""
        assert self.search.schedule is not None
        return self.search.schedule
