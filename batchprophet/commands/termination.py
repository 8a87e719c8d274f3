"""Terminations, as batch systems send them when time is up, treated as keyboard interrupts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: SIGBREAK is what Windows sends instead: its SIGTERM never comes from another process.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name))


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on a termination, so that results found so far are kept.

    Further terminations are ignored, so that the results can be written. In threads other than the
    main one, which gets no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminated = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal terminated
        if not terminated:
            terminated = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
