"""The next batch by a rule, built request by request: the readable truth of the compiled rules."""

from __future__ import annotations

from collections.abc import Iterable

from ...models.continuous.problem import Limits
from .decision import ContinuousDecision
from .observation import ContinuousView, in_blocks
from .rule import CHUNK, FITS, PEAK, PLAN, PROMPT, PROMPTS_FIRST, TOGETHER, Rule

#: A request and the output length that it is planned with.
Planned = tuple[ContinuousView, int]


class BatchBuilder:
    """A batch that is being built, and the KV memory that is left beside it.

    A cache takes whole blocks. What an admission reserves beyond them stays reserved until the
    request completes or is preempted.

    Parameters
    ----------
    gpu : Limits
        The GPU.
    rule : Rule
        The rule.
    running : list of (ContinuousView, int)
        Requests that hold a cache, in the order in which they began, with planned lengths.
    queue : iterable of (ContinuousView, int)
        Waiting requests, the first in turn first, with planned lengths.
    paused : frozenset of int
        Running requests, by index, that keep their caches and have no part in the batch.

    Attributes
    ----------
    refused : bool
        Whether a request was refused for the seats or the KV memory, once the batch is built.
    """

    def __init__(
        self,
        gpu: Limits,
        rule: Rule,
        running: list[Planned],
        queue: Iterable[Planned],
        *,
        paused: frozenset[int] = frozenset(),
    ) -> None:
        self._gpu, self._rule = gpu, rule
        self._running, self._queue = list(running), queue
        self._room = {view.index: self._reserved(view, planned) for view, planned in running}
        self._free = gpu.blocks * gpu.block - sum(self._room.values())
        self._tokens, self._prompt_tokens = rule.tokens, rule.prompt_tokens
        self._read: dict[int, int] = {}
        self._served: list[int] = []
        self._dropped: list[int] = []
        self._paused, self.refused = paused, False

    def build(self) -> ContinuousDecision:
        """Return the batch."""
        shape = self._rule.shape
        if shape == TOGETHER:
            kinds = [(True,), (False,)] if self._rule.decodes_first else [(True, False)]
            for kind in kinds:
                self._serve(kind)
            if not self._dropped:
                self._admit()
        elif shape == PROMPTS_FIRST or not self._running:
            self._serve((False,))
            self._admit()
        else:
            self._serve((False,))
        if shape != TOGETHER and not self._read:
            self._serve((True,))
        return ContinuousDecision(
            tuple(self._read.items()), tuple(self._served), tuple(self._dropped)
        )

    @property
    def seats_taken(self) -> int:
        """Requests that hold a cache, those that the batch completes included."""
        return len(self._running)

    @property
    def full(self) -> bool:
        """Whether the batch takes no more prompt tokens."""
        return min(self._tokens, self._prompt_tokens) == 0

    def _reserved(self, view: ContinuousView, planned: int) -> int:
        """KV tokens that are set aside for a request that holds a cache."""
        held = in_blocks(view.cached, self._gpu.block)
        return max(held, self._set_aside(view, planned))

    def _set_aside(self, view: ContinuousView, planned: int) -> int:
        """KV tokens that an admission sets aside beyond the cache, in whole blocks."""
        whole, block = self._gpu.blocks * self._gpu.block, self._gpu.block
        if self._rule.reserve == PROMPT and not view.ready:
            return in_blocks(view.prompt + view.tokens, block)
        if self._rule.reserve == PEAK:
            longest = view.prompt + max(planned - 1, 0 if view.ready else view.tokens)
            return min(whole, in_blocks(longest, block))
        return 0

    def _serve(self, kinds: tuple[bool, ...]) -> None:
        """Give running requests in turn a token job or a chunk; preempt from the tail."""
        at = 0
        while at < len(self._running) and self._tokens > 0:
            view, _ = self._running[at]
            at += 1
            tokens = 1 if view.ready else self._chunk(view)
            if view.ready not in kinds or tokens == 0 or view.index in self._paused:
                continue
            needed = in_blocks(view.cached + tokens, self._gpu.block) - self._room[view.index]
            while needed > self._free and len(self._running) >= at:
                self._drop_last()
            if len(self._running) < at:
                return
            self._take(view, tokens, needed)

    def _admit(self) -> None:
        """Admit waiting requests in turn, up to the first that does not fit."""
        rule, block = self._rule, self._gpu.block
        for view, planned in self._queue:
            tokens = self._chunk(view)
            self.refused = len(self._running) >= rule.seats
            if self.refused or tokens == 0:
                return
            first = in_blocks(tokens, block)
            needed = max(first, self._set_aside(view, planned))
            spare = rule.watermark if self._running and rule.reserve != CHUNK else 0
            fits = in_blocks(view.unread, block) if rule.reserve == FITS else needed
            self.refused = fits + spare > self._free or (
                rule.reserve == PLAN and not self._all_complete(view, planned, tokens)
            )
            if self.refused:
                return
            self._running.append((view, planned))
            self._room[view.index] = 0
            self._take(view, tokens, needed)

    def _chunk(self, view: ContinuousView) -> int:
        """Prompt tokens that the batch can still read of a request; 0 for none."""
        rule, left = self._rule, view.unread
        most = min(rule.chunk, rule.prompt_tokens, rule.tokens)
        tokens = min(left, rule.chunk, self._tokens, self._prompt_tokens)
        if rule.whole and tokens < left and (left <= most or not self._gpu.chunked):
            return 0
        return tokens

    def _take(self, view: ContinuousView, tokens: int, needed: int) -> None:
        """Put a request into the batch."""
        needed = max(0, needed)
        self._room[view.index] += needed
        self._free -= needed
        self._tokens -= tokens
        if view.ready:
            self._served.append(view.index)
        else:
            self._prompt_tokens -= tokens
            self._read[view.index] = tokens

    def _drop_last(self) -> None:
        """Preempt the request that began last; it has no part in this batch."""
        view, _ = self._running.pop()
        self._free += self._room.pop(view.index)
        self._dropped.append(view.index)

    def _all_complete(self, newcomer: ContinuousView, planned: int, tokens: int) -> bool:
        """Whether with a newcomer all complete at planned lengths, a token each in every batch.

        A cache is on a line that rises by one in every batch, the next one's end is 1; between two
        completions the sum rises, so the completions are all that is to be looked at.
        """
        left = self._rule.tokens - len(self._running)
        per = max(1, min(self._rule.chunk, self._rule.prompt_tokens, left))

        def line(view: ContinuousView, planned: int, tokens: int) -> tuple[int, int]:
            """Cache at 0 on its line, and when the request completes."""
            unread = view.unread - tokens
            reads = 0 if view.ready else -(-unread // per)
            start = view.cached if view.ready else view.prompt + view.tokens - reads - 1
            return start, reads + max(1, planned - view.tokens)

        lines = [line(view, plan, self._read.get(view.index, 0)) for view, plan in self._running]
        lines.append(line(newcomer, planned, tokens))
        block, whole = self._gpu.block, self._gpu.blocks * self._gpu.block
        return all(
            sum(in_blocks(start + end, block) for start, last in lines if last >= end) <= whole
            for end in {last for _, last in lines}
        )
