"""The instances among which a worst case is sought, and how one is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ...models.durations import durations
from ...models.errors import InputError
from ...models.instance import Gpu, Instance

#: Most kinds of requests that a drawn instance has: worst cases have few.
MOST_KINDS = 3

#: Latest arrival that is taken: in rounds or slots, and in microseconds.
MOST_ROUNDS, MOST_MICROSECONDS = 10**6, 10**9

#: Limits of continuous batching that can vary.
LIMITS = ("running_requests", "batch_tokens")


def with_limit(gpu: Gpu, name: str, value: int | None) -> Gpu:
    """Return a GPU with another value of one of `LIMITS`."""
    if name == "running_requests":
        return replace(gpu, running_requests=value)
    return replace(gpu, batch_tokens=value)


def default_span(kv_capacity: int, gpu: Gpu | None) -> int:
    """Return the latest arrival where none is given: the time of M batches of a token each.

    Examples
    --------
    >>> default_span(12, None)
    12
    """
    if gpu is None or gpu.batch_time.time_unit != "microsecond":
        return kv_capacity
    law = durations(gpu.batch_time)
    return min(kv_capacity * law.token_batch(1, 1), MOST_MICROSECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All instances of up to n requests on a GPU of M tokens that arrive within a span.

    Parameters
    ----------
    n : int
        Most requests, from 1 to 1000.
    kv_capacity : int
        M, from 2 to 10^6 tokens.
    span : int
        Latest arrival, from 0 to 10^6 rounds or 10^9 microseconds.
    gpu : Gpu, optional
        The GPU's limits and batch times, for separate and continuous batching; its KV capacity
        is M.
    vary_limits : bool
        Whether instances have limits of their own on running requests and on the tokens of a
        batch (continuous batching), up to those of the GPU.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> space = Space(n=6, kv_capacity=12, span=12)
    >>> space.draw(np.random.default_rng(0)).n
    6
    """

    n: int
    kv_capacity: int
    span: int
    gpu: Gpu | None = None
    vary_limits: bool = False

    def __post_init__(self) -> None:
        latest = MOST_MICROSECONDS if self.counts_microseconds else MOST_ROUNDS
        for name, low, high in (("n", 1, 1000), ("kv_capacity", 2, 10**6), ("span", 0, latest)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name}: expected from {low} to {high}, found {value}")
        if self.gpu is not None and self.gpu.kv_block > self.kv_capacity:
            raise InputError(
                f"block_size: expected at most the KV capacity of {self.kv_capacity} tokens, "
                f"found {self.gpu.kv_block}"
            )

    @property
    def counts_microseconds(self) -> bool:
        """Whether times are microseconds, and not rounds."""
        return self.gpu is not None and self.gpu.batch_time.time_unit == "microsecond"

    @property
    def most_tokens(self) -> int:
        """Most tokens of a prompt and its output: M, and what whole blocks hold."""
        block = 1 if self.gpu is None else self.gpu.kv_block
        return min(self.kv_capacity, self.kv_capacity // block * block + 1)

    @property
    def most_prompt(self) -> int:
        """Longest prompt: there is room for a token beside it, and it fits into one batch."""
        limit = None if self.gpu is None else self.gpu.prompt_batch_tokens
        if self.gpu is not None and not self.gpu.chunked_prefill:
            limit = self.gpu.batch_tokens
        return min(self.most_tokens - 1, limit or self.most_tokens)

    def draw(self, rng: np.random.Generator) -> Instance:
        """Draw n requests of at most `MOST_KINDS` kinds, equal ones arriving together."""
        kinds = int(rng.integers(1, MOST_KINDS + 1))
        prompt = rng.integers(1, self.most_prompt + 1, kinds)
        output = np.array([rng.integers(1, self.most_tokens - s + 1) for s in prompt])
        arrival = rng.integers(0, self.span + 1, kinds) * (rng.random(kinds) < 0.5)
        kind = rng.integers(0, kinds, self.n)
        gpu = self.with_other_limits(self.whole_gpu, rng) if self.vary_limits else None
        return self.instance(arrival[kind], prompt[kind], output[kind], gpu=gpu)

    @property
    def whole_gpu(self) -> Gpu:
        """The GPU with the limits that it is given, and M."""
        return replace(self.gpu or Gpu(kv_capacity=2), kv_capacity=self.kv_capacity)

    def with_other_limits(self, gpu: Gpu, rng: np.random.Generator) -> Gpu:
        """Draw one limit of a GPU anew; one time in four it is as loose as it may be.

        That of the running requests, or where prompts may be read in chunks that of the tokens of
        a batch.
        """
        whole = self.whole_gpu
        name = LIMITS[int(rng.random() >= 0.5)]
        loosest = getattr(whole, name)
        if (name == "batch_tokens" and not whole.chunked_prefill) or rng.random() < 0.25:
            return with_limit(gpu, name, loosest)
        high = loosest or (self.n if name == "running_requests" else self.kv_capacity)
        return with_limit(gpu, name, int(rng.integers(1, high + 1)))

    def instance(
        self,
        arrival: ArrayLike,
        prompt: ArrayLike,
        output: ArrayLike,
        *,
        gpu: Gpu | None = None,
    ) -> Instance:
        """Make an instance of the space: in order of arrival, the first request at 0."""
        a, s, o = (np.asarray(column, dtype=np.int64) for column in (arrival, prompt, output))
        order = np.argsort(a, kind="stable")
        gpu = gpu or self.whole_gpu
        return Instance(gpu=gpu, arrival=(a - a.min())[order], prompt=s[order], output=o[order])
