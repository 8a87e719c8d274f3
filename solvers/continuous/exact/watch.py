"""The end of the time, for compiled code that runs long: a flag that a thread sets."""

from __future__ import annotations

import threading
from types import TracebackType

from ....models.instance import IntArray
from ...limits import Budget

#: Seconds between two looks at the budget.
LOOK = 0.05


class Watch:
    """As a context, set a flag once a budget is spent.

    Parameters
    ----------
    budget : Budget
        The budget.
    flag : ndarray of int64, shape (1,)
        Gets 0 at the beginning and 1 when the budget is spent.
    needed : bool
        False if only work is limited: then no thread is begun.

    Examples
    --------
    >>> import numpy as np
    >>> flag = np.ones(1, dtype=np.int64)
    >>> with Watch(Budget(0.0, None, None), flag, needed=True):
    ...     while not flag[0]:
    ...         pass
    """

    def __init__(self, budget: Budget, flag: IntArray, *, needed: bool) -> None:
        self._budget, self._flag = budget, flag
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True) if needed else None

    def __enter__(self) -> Watch:
        self._flag[0] = 0
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._ended.is_set():
            if self._budget.is_spent:
                self._flag[0] = 1
                return
            self._ended.wait(LOOK)
