"""Futures that an online decision can be judged by: what may arrive, how long requests may be.

A law is asked for one future at a time. It sees what a policy sees, including all that has arrived
so far, and draws the rest from its posterior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np

from ...models.instance import IntArray
from ..view import View
from .history import Past

#: Numbers of requests in a drawn future are cut off here.
MOST_DRAWN = 500

#: Points at which densities of rates and ends are evaluated.
GRID = 64


class Future(NamedTuple):
    """Requests still to come, shape (m,) each: arrival > now (rounds), prompt, output (tokens)."""

    arrival: IntArray
    prompt: IntArray
    output: IntArray


class Law(Protocol):
    """What is assumed of arrivals and lengths."""

    def draw(self, past: Past, rng: np.random.Generator) -> Future:
        """Draw what arrives after now."""
        ...

    def output(self, view: View, tokens: int, past: Past, rng: np.random.Generator) -> int:
        """Draw the output length of a request of which nothing is told but ``o > tokens``."""
        ...


@dataclass(frozen=True, slots=True)
class PublishedLaw:
    """The arrival models of arXiv 2502.07115 with the rate and the last round unknown.

    Lengths are s ~ U{1..5}, or U{1..M − 1} where M is below 6, and o ~ U{1..M − s}. Arrivals are
    Poisson with λ ~ U[0.5, 1.5] a round over T ~ U{40..60} rounds. With N arrivals up to now, the
    last in round a, the posterior is

        P(λ, T) ∝ λ^N · exp(−λ·min(T, t + 1))        for T > a.

    Parameters
    ----------
    at_zero : bool
        Arrival model 1: all requests are there at round 0, and none comes later.
    """

    at_zero: bool = False

    def draw(self, past: Past, rng: np.random.Generator) -> Future:
        """Draw λ and T given the arrivals so far, then what follows."""
        t, arrived = past.time, past.arrived
        last = max((view.arrival for view in arrived), default=-1)
        ends = np.arange(max(40, last + 1), 61)
        if self.at_zero or ends.size == 0:
            return _nothing()
        rates = np.linspace(0.5, 1.5, GRID)
        log = len(arrived) * np.log(rates)[:, None] - rates[:, None] * np.minimum(ends, t + 1)
        weight = np.exp(log - log.max()).ravel()
        drawn = int(rng.choice(weight.size, p=weight / weight.sum()))
        rate, end = rates[drawn // ends.size], int(ends[drawn % ends.size])
        rounds = np.arange(t + 1, end)
        arrival = np.repeat(rounds, rng.poisson(rate, size=rounds.size))[:MOST_DRAWN]
        longest = min(5, past.kv_capacity - 1)  # a request holds its prompt and a token
        prompt = rng.integers(1, longest + 1, size=arrival.size)
        output = rng.integers(1, past.kv_capacity - prompt + 1)
        return Future(arrival.astype(np.int64), prompt, output)

    def output(self, view: View, tokens: int, past: Past, rng: np.random.Generator) -> int:
        """Draw from U{tokens + 1 .. M − s}."""
        return int(rng.integers(tokens + 1, past.kv_capacity - view.prompt + 1))


@dataclass(frozen=True, slots=True)
class PastLaw:
    """What the past suggests: its rate, its lengths, and an unknown end.

    What arrives at round 0 is a stock and says nothing of the rate. With N arrivals in rounds
    1 … t the rate is Gamma(N) / t. The arrivals end at an unknown round E of prior density 1/E²
    (free of scale), so given the last arrival a, E is before t with density ∝ exp(−λE) / E² on
    (a, t) and after it with density ∝ exp(−λt) / E²: silence speaks for an end. Lengths are drawn
    from the requests seen, as pairs.
    """

    def draw(self, past: Past, rng: np.random.Generator) -> Future:
        """Draw rate and end, then arrivals, then lengths among those seen."""
        t = past.time
        seen = [view.arrival for view in past.arrived if view.arrival > 0]
        if t == 0 or not seen:
            return _nothing()
        rate = rng.gamma(len(seen)) / t
        if rng.random() < _ended(rate, max(seen), t):
            return _nothing()
        end = t / max(rng.random(), 0.05)
        count = min(int(rng.poisson(rate * (end - t))), MOST_DRAWN)
        arrival = t + 1 + np.floor(rng.random(count) * (end - t)).astype(np.int64)
        arrival.sort()
        models = rng.integers(0, len(past.arrived), size=count)
        views = [past.arrived[int(j)] for j in models]
        output = [draw_length(view, 0, self, past, rng) for view in views]
        prompt = np.array([view.prompt for view in views], np.int64)
        return Future(arrival, prompt, np.array(output, np.int64))

    def output(self, view: View, tokens: int, past: Past, rng: np.random.Generator) -> int:
        """Draw among the lengths of completed requests that are possible; U{..} without any."""
        longest = past.kv_capacity - view.prompt
        known = [
            other.longest
            for other in past.arrived
            if other.longest is not None
            and other.longest == other.shortest
            and tokens < other.longest <= longest
        ]
        if known:
            return known[int(rng.integers(len(known)))]
        return int(rng.integers(tokens + 1, longest + 1))


def draw_length(view: View, tokens: int, law: Law, past: Past, rng: np.random.Generator) -> int:
    """Draw the output length of a request that has `tokens` tokens and is not complete.

    As told, drawn from the interval that is told, or from the law where nothing is.
    """
    if view.shortest is None or view.longest is None:
        return law.output(view, tokens, past, rng)
    least = min(max(view.shortest, tokens + 1), view.longest)
    return int(rng.integers(least, view.longest + 1))


def _ended(rate: float, last: int, t: int) -> float:
    """Posterior probability that the arrivals ended between `last` and `t`."""
    if last >= t:
        return 0.0
    ends = np.linspace(last, t, GRID)
    # Densities by the greatest, e^{λ(t − last)}, which may be beyond all numbers.
    density = np.exp(rate * (last - ends)) / np.maximum(ends, 0.5) ** 2
    before = float(np.trapezoid(density, ends))
    return before / (before + math.exp(-rate * (t - last)) / t)


def _nothing() -> Future:
    none = np.zeros(0, np.int64)
    return Future(none, none, none)


#: Laws by the name that a policy's option takes.
LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "past": PastLaw(),
        "arrival-model-1": PublishedLaw(at_zero=True),
        "arrival-model-2": PublishedLaw(),
    }
)
