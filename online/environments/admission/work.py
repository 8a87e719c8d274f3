"""The GPU time of a request at full batches, in whole units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np

from ....models.instance import IntArray
from .law import AdmissionLaw

#: Limits of one kind of batch are mixed in steps of one eighth.
MIXTURE = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What each job takes of the GPU's time, if its batch is full.

    A prompt batch holds at most B_P requests, C_P prompt tokens, and M KV tokens at its end; a
    token batch B_D requests and M KV tokens at its end. Each limit gives every job a share of its
    batch, ``1/B_P``, ``s_j/C_P``, ``(s_j + 1)/M``; ``1/B_D``, ``(s_j + g)/M`` for output token g.
    Shares of one limit add up to at most 1 in any batch, and so do those of any mixture
    of limits: work done is at most time spent, whatever the mixture. The mixture taken is the one
    with the smallest fluid value (the dual of the fluid LP, in eighths).

    Attributes
    ----------
    unit : int
        Units of work per slot.
    prompt : ndarray of int64, shape (K,)
        Units of a prompt job.
    token : ndarray of int64, shape (K, longest)
        Units of the token job of a request with ρ tokens to go, in column ρ; column 0 is 0.
    total : ndarray of int64, shape (K,)
        Units W_j of a whole request: w_j·unit.
    order : ndarray of int64, shape (K,)
        Types by reward per unit of work, the densest first.

    Examples
    --------
    >>> from batchprophet.online.environments.admission.law import PROTOTYPE
    >>> work = request_work(PROTOTYPE)
    >>> (work.total / work.unit).tolist(), work.order.tolist()
    ([0.625, 1.125, 0.75], [0, 1, 2])
    """

    unit: int
    prompt: IntArray
    token: IntArray
    total: IntArray
    order: IntArray

    def left(self) -> IntArray:
        """Units of work of a request with ρ tokens to go, shape (K, longest)."""
        return np.cumsum(self.token, axis=1)


def request_work(law: AdmissionLaw) -> Work:
    """Choose the mixture of limits that bounds the fluid value best, and return its shares."""
    best = min(_mixtures(law), key=lambda shares: _fluid_value(law, *shares))
    prompt, token = best
    unit = math.lcm(*(share.denominator for share in prompt), *_denominators(token))
    whole = np.array([int(share * unit) for share in prompt], dtype=np.int64)
    rows = np.array([[int(share * unit) for share in row] for row in token], dtype=np.int64)
    total = whole + rows.sum(axis=1)
    density = [Fraction(r, int(w)) for r, w in zip(law.reward, total, strict=True)]
    order = sorted(range(law.types), key=lambda j: (-density[j], j))
    return Work(unit=unit, prompt=whole, token=rows, total=total, order=np.array(order))


Shares = tuple[list[Fraction], list[list[Fraction]]]


def _denominators(rows: list[list[Fraction]]) -> list[int]:
    return [share.denominator for row in rows for share in row]


def _mixtures(law: AdmissionLaw) -> list[Shares]:
    """All mixtures of the prompt batch's limits with all of the token batch's, in slots."""
    s, o, M = law.prompt, law.output, law.kv_capacity
    one = Fraction(1)
    prompts = [[one / law.prompt_batch_requests for _ in s]]
    if law.prompt_batch_tokens is not None:
        prompts.append([Fraction(s_j, law.prompt_batch_tokens) for s_j in s])
    tokens = [[_row(o_j, law.longest, lambda g: one / law.token_batch_requests) for o_j in o]]
    if M is not None:
        prompts.append([Fraction(s_j + 1, M) for s_j in s])
        tokens.append(
            [
                _row(o_j, law.longest, lambda g, s_j=s_j: Fraction(s_j + g, M))  # type: ignore[misc]
                for s_j, o_j in zip(s, o, strict=True)
            ]
        )
    mixed_prompts = [
        [
            law.prompt_time * sum(t * p[j] for t, p in zip(theta, prompts, strict=True))
            for j in range(law.types)
        ]
        for theta in _simplex(len(prompts))
    ]
    mixed_tokens = [
        [
            [
                law.token_time * sum(t * p[j][x] for t, p in zip(theta, tokens, strict=True))
                for x in range(law.longest)
            ]
            for j in range(law.types)
        ]
        for theta in _simplex(len(tokens))
    ]
    return [(p, t) for p in mixed_prompts for t in mixed_tokens]  # type: ignore[misc]


def _row(o: int, longest: int, share):  # type: ignore[no-untyped-def]
    """Share of output token g = o − ρ + 1, for ρ tokens to go, ρ = 0 … longest − 1."""
    return [share(o - x + 1) if 1 <= x <= o - 1 else Fraction(0) for x in range(longest)]


def _simplex(limits: int) -> list[tuple[Fraction, ...]]:
    """Mixtures of `limits` parts in steps of 1/MIXTURE; the pure ones among them."""
    cuts = combinations_with_replacement(range(MIXTURE + 1), limits - 1)
    return [
        tuple(Fraction(b - a, MIXTURE) for a, b in zip((0, *cut), (*cut, MIXTURE), strict=True))
        for cut in cuts
    ]


def _fluid_value(
    law: AdmissionLaw, prompt: list[Fraction], token: list[list[Fraction]]
) -> tuple[Fraction, Fraction]:
    """Reward per slot of the fluid greedy; of equal values, the one with most work."""
    w = [p + sum(row, Fraction(0)) for p, row in zip(prompt, token, strict=True)]
    left, value = Fraction(1), Fraction(0)
    for j in sorted(range(law.types), key=lambda j: -Fraction(law.reward[j]) / w[j]):
        served = min(law.rates[j] * w[j], left)
        left -= served
        value += served * law.reward[j] / w[j]
    load = sum((rate * w_j for rate, w_j in zip(law.rates, w, strict=True)), Fraction(0))
    return value, -load
