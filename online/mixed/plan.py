"""The future check of mixed batching: whether planned runs fit until all of them complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .observation import RequestView


@dataclass(slots=True)
class NextRound:
    """Requests and tokens of a round while it is filled, under the limits that it has.

    What starts now is alone in being counted by its prompt, and in the next round only: a later
    round has no more requests and no more tokens, unless others start.

    Attributes
    ----------
    most_requests, most_tokens : int or None
        B and C; None for no limit.
    requests, tokens : int
        What is in it.

    Examples
    --------
    >>> filled = NextRound(most_requests=2, most_tokens=4)
    >>> filled.add(3), filled.takes(2), filled.takes(1)
    (None, False, True)
    """

    most_requests: int | None = None
    most_tokens: int | None = None
    requests: int = 0
    tokens: int = 0

    def takes(self, tokens: int) -> bool:
        """Say whether one more job fits: the prompt of a start, or 1 of what runs on."""
        return (self.most_requests is None or self.requests < self.most_requests) and (
            self.most_tokens is None or self.tokens + tokens <= self.most_tokens
        )

    def add(self, tokens: int) -> None:
        """Put a job in."""
        self.requests += 1
        self.tokens += tokens


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
    into : NextRound, optional
        The next round with what runs on in it; by default one without limits. What is added goes
        into it.

    Examples
    --------
    >>> plan = Plan(kv_capacity=9, t=0)
    >>> plan.add(prompt=3, planned=4)
    >>> plan.fits(prompt=1, planned=2), plan.fits(prompt=1, planned=4)
    (True, False)
    """

    def __init__(
        self,
        kv_capacity: int,
        t: int,
        running: Iterable[RequestView] = (),
        *,
        into: NextRound | None = None,
    ) -> None:
        self._M = kv_capacity
        self._t = t
        self._round = NextRound() if into is None else into
        self._runs = [(view.size(t), view.start + view.planned) for view in running]  # type: ignore[operator]  # a running request has a start

    def fits(self, prompt: int, planned: int) -> bool:
        """Say whether a run may start: within the limits of the next round, and of M later on."""
        return self._round.takes(prompt) and self.holds(prompt, planned)

    def holds(self, size: int, rounds: int) -> bool:
        """Say whether all planned runs and one more fit at each of their completion rounds."""
        runs = sorted([*self._runs, (size, self._t + rounds)], key=lambda run: -run[1])
        held = 0
        for alive, (begun, end) in enumerate(runs, start=1):  # those that complete last come first
            held += begun
            if held + alive * (end - self._t) > self._M:
                return False
        return True

    def add(self, prompt: int, planned: int) -> None:
        """Plan a run that starts at `t`."""
        self._runs.append((prompt, self._t + planned))
        self._round.add(prompt)

    def add_running(self, size: int, completion: int) -> None:
        """Plan a run that holds this many tokens at `t`."""
        self._runs.append((size, completion))
        self._round.add(1)

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
