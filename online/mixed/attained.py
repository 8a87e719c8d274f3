"""What requests have attained: the output tokens that they are known to have at least."""

from __future__ import annotations

from ..learned_lengths import LengthLaw
from .observation import Observation, RequestView


class Attained:
    """Most output tokens that each request has had in any of its runs, kept over one run.

    Call `look` at every decision. A request that is evicted loses its tokens, but not what they
    have told of its length: it has more than it has attained.

    Examples
    --------
    >>> attained = Attained()
    >>> running = RequestView(index=0, arrival=0, prompt=3, start=1)
    >>> attained.look(Observation(time=5, kv_capacity=9, waiting=(), running=(running,)))
    >>> attained.tokens(0), attained.tokens(1)
    (4, 0)
    """

    def __init__(self) -> None:
        self._most: dict[int, int] = {}

    def look(self, observation: Observation) -> None:
        """Take in what runs now."""
        for view in observation.running:
            tokens = tokens_now(view, observation.time)
            self._most[view.index] = max(self._most.get(view.index, 0), tokens)

    def tokens(self, index: int) -> int:
        """Return the most tokens that a request has had."""
        return self._most.get(index, 0)

    def law(self, observation: Observation) -> LengthLaw:
        """Return the law of lengths by what has completed and what others have attained."""
        ended = [view.planned for view in observation.arrived if view.longest is not None]
        going = [self.tokens(view.index) for view in (*observation.running, *observation.waiting)]
        return LengthLaw(ended, going)


def tokens_now(view: RequestView, t: int) -> int:
    """Return the output tokens that a request holds at round boundary `t`, 0 while it waits."""
    return 0 if view.start is None else t - view.start
