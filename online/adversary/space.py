"""The instances among which a worst case is sought, and how one is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ...models.errors import InputError
from ...models.instance import Gpu, Instance

#: Most kinds of requests that a drawn instance has: worst cases have few.
MOST_KINDS = 3


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
        Latest arrival, from 0 to 10^6 rounds.
    gpu : Gpu, optional
        The GPU's batch limits and batch times, for separate batching; its KV capacity is M.

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

    def __post_init__(self) -> None:
        for name, low, high in (("n", 1, 1000), ("kv_capacity", 2, 10**6), ("span", 0, 10**6)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name}: expected from {low} to {high}, found {value}")

    @property
    def most_prompt(self) -> int:
        """Longest prompt: there is room for a token beside it, and it fits into a prompt batch."""
        limit = None if self.gpu is None else self.gpu.prompt_batch_tokens
        return min(self.kv_capacity - 1, limit or self.kv_capacity)

    def draw(self, rng: np.random.Generator) -> Instance:
        """Draw n requests of at most `MOST_KINDS` kinds, equal ones arriving together."""
        kinds = int(rng.integers(1, MOST_KINDS + 1))
        prompt = rng.integers(1, self.most_prompt + 1, kinds)
        output = np.array([rng.integers(1, self.kv_capacity - s + 1) for s in prompt])
        arrival = rng.integers(0, self.span + 1, kinds) * (rng.random(kinds) < 0.5)
        kind = rng.integers(0, kinds, self.n)
        return self.instance(arrival[kind], prompt[kind], output[kind])

    def instance(self, arrival: ArrayLike, prompt: ArrayLike, output: ArrayLike) -> Instance:
        """Make an instance of the space: in order of arrival, the first request at 0."""
        a, s, o = (np.asarray(column, dtype=np.int64) for column in (arrival, prompt, output))
        order = np.argsort(a, kind="stable")
        gpu = replace(self.gpu or Gpu(kv_capacity=2), kv_capacity=self.kv_capacity)
        return Instance(gpu=gpu, arrival=(a - a.min())[order], prompt=s[order], output=o[order])
