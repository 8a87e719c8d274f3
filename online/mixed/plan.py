"""The future check of mixed batching: whether planned runs fit until all of them complete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .observation import RequestView


class Plan:
    """Planned runs from round boundary `t` on: ``(KV tokens at t, planned completion)`` each.

    A run holds one token more in every round until it completes, so that the KV use is largest at
    completions: the future check of arXiv 2502.07115 looks at these. `Observation.plan` gives the
    plan of what runs.

    Parameters
    ----------
    kv_capacity : int
        M, in tokens.
    t : int
        The round boundary.
    running : iterable of RequestView, optional
        Running requests, planned until their `planned` lengths.

    Examples
    --------
    >>> plan = Plan(kv_capacity=9, t=0)
    >>> plan.add(prompt=3, planned=4)
    >>> plan.fits(prompt=1, planned=2), plan.fits(prompt=1, planned=4)
    (True, False)
    """

    def __init__(self, kv_capacity: int, t: int, running: Iterable[RequestView] = ()) -> None:
        self._M = kv_capacity
        self._t = t
        self._runs = [(view.size(t), view.start + view.planned) for view in running]  # type: ignore[operator]  # a running request has a start

    def fits(self, prompt: int, planned: int) -> bool:
        """Say whether all planned runs and one more fit at each of their completion rounds."""
        runs = sorted([*self._runs, (prompt, self._t + planned)], key=lambda run: -run[1])
        held = 0
        for alive, (size, end) in enumerate(runs, start=1):  # those that complete last come first
            held += size
            if held + alive * (end - self._t) > self._M:
                return False
        return True

    def add(self, prompt: int, planned: int) -> None:
        """Plan a run that starts at `t`."""
        self._runs.append((prompt, self._t + planned))

    def add_running(self, size: int, completion: int) -> None:
        """Plan a run that holds this many tokens at `t`."""
        self._runs.append((size, completion))

    def start(self, view: RequestView) -> bool:
        """Plan a waiting request if it fits with its planned length, and say whether it does.

        Examples
        --------
        >>> from batchprophet.online.mixed.observation import Observation, RequestView
        >>> first = RequestView(index=0, arrival=0, prompt=3, shortest=4, longest=4)
        >>> second = RequestView(index=1, arrival=0, prompt=1, shortest=4, longest=4)
        >>> here = Observation(time=0, kv_capacity=9, waiting=(first, second), running=())
        >>> plan = here.plan()
        >>> [view.index for view in here.waiting if plan.start(view)]
        [0]
        """
        if not self.fits(view.prompt, view.planned):
            return False
        self.add(view.prompt, view.planned)
        return True
