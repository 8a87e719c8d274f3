"""Laws of prompt and output lengths, drawn so that every request fits the GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..instance import FloatArray, IntArray

#: Draws a number of lengths, in tokens.
LengthLaw = Callable[[np.random.Generator, int], IntArray]

_LONGEST = 2.0**40
_PASSES = 1000


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Lengths ``max(1, round(exp(μ + σZ)))`` with Z standard normal.

    Examples
    --------
    >>> LogNormal(mu=3.0, sigma=0.0)(np.random.default_rng(0), 2).tolist()
    [20, 20]
    """

    mu: float
    sigma: float

    def __call__(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw n lengths."""
        with np.errstate(over="ignore"):
            return _tokens(np.exp(self.mu + self.sigma * rng.standard_normal(n)))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Lengths by inversion of quantiles, with linear interpolation, rounded.

    Attributes
    ----------
    levels : tuple of float
        Percentages, increasing from 0 to 100.
    tokens : tuple of int
        The length at each level.

    Examples
    --------
    >>> Quantiles((0, 50, 100), (3, 3, 3))(np.random.default_rng(0), 2).tolist()
    [3, 3]
    """

    levels: tuple[float, ...]
    tokens: tuple[int, ...]

    def __call__(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw n lengths."""
        return self.at(rng.random(n))

    def at(self, rank: FloatArray) -> IntArray:
        """Return the lengths at ranks in [0, 1)."""
        return _tokens(np.interp(100 * rank, self.levels, self.tokens))


@dataclass(frozen=True, slots=True)
class GivenPrompt:
    """Outputs given prompts: quantiles of the outputs in each part of the prompts.

    Attributes
    ----------
    levels : tuple of float
        Percentages, increasing from 0 to 100.
    tokens : tuple of tuple of int
        The outputs' quantiles at each level, for parts of the prompts with as many requests each,
        the shortest first.

    Examples
    --------
    Short prompts have long outputs here.

    >>> law = GivenPrompt((0, 100), ((90, 90), (5, 5)))
    >>> law(np.random.default_rng(0), np.array([0.1, 0.4, 0.6])).tolist()
    [90, 90, 5]
    """

    levels: tuple[float, ...]
    tokens: tuple[tuple[int, ...], ...]

    def __call__(self, rng: np.random.Generator, rank: FloatArray) -> IntArray:
        """Draw an output for each prompt, by its rank among all, in [0, 1)."""
        part = (rank * len(self.tokens)).astype(np.int64)
        u = 100 * rng.random(rank.size)
        drawn = np.empty(rank.size)
        for k, tokens in enumerate(self.tokens):
            drawn[part == k] = np.interp(u[part == k], self.levels, tokens)
        return _tokens(drawn)


def draw_fitting(
    rng: np.random.Generator,
    n: int,
    prompt: LengthLaw,
    output: LengthLaw | GivenPrompt,
    kv_capacity: int,
) -> tuple[IntArray, IntArray]:
    """Draw n pairs of lengths, given that each pair fits in the KV cache.

    The two are independent, or the output is drawn given the prompt, which is drawn by `Quantiles`
    then.

    Pairs with s + o > M are drawn again until they fit. The first m pairs are the same for every
    n ≥ m: each pass and each column has a random stream of its own.

    Raises
    ------
    InputError
        If fewer than about one pair in a hundred fits.
    """
    s, o = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    redrawn = np.arange(n)
    for _ in range(_PASSES):
        prompts, outputs = rng.spawn(2)
        if isinstance(output, GivenPrompt):
            assert isinstance(prompt, Quantiles)
            rank = prompts.random(redrawn.size)
            s[redrawn] = prompt.at(rank)
            o[redrawn] = output(outputs, rank)
        else:
            s[redrawn] = prompt(prompts, redrawn.size)
            o[redrawn] = output(outputs, redrawn.size)
        drawn, redrawn = redrawn.size, redrawn[s[redrawn] + o[redrawn] > kv_capacity]
        if redrawn.size == 0:
            return s, o
        if redrawn.size > 0.99 * drawn >= 1000:
            break
    raise InputError(
        "kv_capacity: expected at least about one in a hundred requests of these lengths to fit, "
        f"found hardly any that fit in {kv_capacity}"
    )


def _tokens(lengths: FloatArray) -> IntArray:
    return np.rint(np.clip(lengths, 1, _LONGEST)).astype(np.int64)
