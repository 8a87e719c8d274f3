"""The GPU time of a request at full batches, in whole units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement, product

import numpy as np

from ....models.instance import IntArray
from .law import AdmissionLaw

#: Limits of one kind of batch are mixed in steps of one eighth.
MIXTURE = 8


#: Weights of the limits of one kind of batch; they add up to 1.
Mixture = tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workloads:
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
    >>> from batchprophet.online.separate.admission.law import PROTOTYPE
    >>> workloads = request_workloads(PROTOTYPE)
    >>> (workloads.total / workloads.unit).tolist(), workloads.order.tolist()
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


def request_workloads(law: AdmissionLaw) -> Workloads:
    """Choose the mixture of limits that bounds the fluid value best, and return its shares."""
    prompts, tokens = _prompt_shares(law), _token_shares(law)
    totals = [[sum(row, Fraction(0)) for row in limit] for limit in tokens]

    def value(mixture: tuple[Mixture, Mixture]) -> tuple[Fraction, Fraction]:
        theta, phi = mixture
        first, others = _mixed(theta, prompts), _mixed(phi, totals)
        return _fluid_value(law, [_work(law, p, t) for p, t in zip(first, others, strict=True)])

    theta, phi = min(product(_simplex(len(prompts)), _simplex(len(tokens))), key=value)
    prompt = [law.prompt_time * share for share in _mixed(theta, prompts)]
    rows = [_mixed(phi, [limit[j] for limit in tokens]) for j in range(law.types)]
    token = [[law.token_time * share for share in row] for row in rows]
    unit = math.lcm(*(share.denominator for row in [prompt, *token] for share in row))
    whole = np.array([int(share * unit) for share in prompt], dtype=np.int64)
    units = np.array([[int(share * unit) for share in row] for row in token], dtype=np.int64)
    total = whole + units.sum(axis=1)
    density = [Fraction(r, int(w)) for r, w in zip(law.reward, total, strict=True)]
    order = sorted(range(law.types), key=lambda j: (-density[j], j))
    return Workloads(unit=unit, prompt=whole, token=units, total=total, order=np.array(order))


def _prompt_shares(law: AdmissionLaw) -> list[list[Fraction]]:
    """Share of a prompt batch by type, for each of its limits."""
    shares = [[Fraction(1, law.prompt_batch_requests) for _ in law.prompt]]
    if law.prompt_batch_tokens is not None:
        shares.append([Fraction(s, law.prompt_batch_tokens) for s in law.prompt])
    if law.kv_capacity is not None:
        shares.append([Fraction(s + 1, law.kv_capacity) for s in law.prompt])
    return shares


def _token_shares(law: AdmissionLaw) -> list[list[list[Fraction]]]:
    """Share of a token batch by type and tokens to go, for each of its limits.

    With ρ tokens to go, 1 ≤ ρ ≤ o − 1, the job emits output token g = o − ρ + 1.
    """
    columns = range(law.longest)
    lengths = list(zip(law.prompt, law.output, strict=True))
    one, none = Fraction(1, law.token_batch_requests), Fraction(0)
    shares = [[[one if 1 <= x < o else none for x in columns] for _, o in lengths]]
    M = law.kv_capacity
    if M is not None:
        shares.append(
            [
                [Fraction(s + o - x + 1, M) if 1 <= x < o else none for x in columns]
                for s, o in lengths
            ]
        )
    return shares


def _mixed(mixture: Mixture, shares: list[list[Fraction]]) -> list[Fraction]:
    """Weighted sum of the limits' shares, entry by entry."""
    return [
        sum((weight * share for weight, share in zip(mixture, column, strict=True)), Fraction(0))
        for column in zip(*shares, strict=True)
    ]


def _work(law: AdmissionLaw, prompt_share: Fraction, token_shares: Fraction) -> Fraction:
    return law.prompt_time * prompt_share + law.token_time * token_shares


def _simplex(limits: int) -> list[Mixture]:
    """Mixtures of `limits` parts in steps of 1/MIXTURE; the pure ones among them."""
    cuts = combinations_with_replacement(range(MIXTURE + 1), limits - 1)
    return [
        tuple(Fraction(b - a, MIXTURE) for a, b in zip((0, *cut), (*cut, MIXTURE), strict=True))
        for cut in cuts
    ]


def _fluid_value(law: AdmissionLaw, w: list[Fraction]) -> tuple[Fraction, Fraction]:
    """Reward per slot of the fluid greedy; of equal values, the one with most work."""
    left, value = Fraction(1), Fraction(0)
    for j in sorted(range(law.types), key=lambda j: -Fraction(law.reward[j]) / w[j]):
        served = min(law.rates[j] * w[j], left)
        left -= served
        value += served * law.reward[j] / w[j]
    load = sum((rate * w_j for rate, w_j in zip(law.rates, w, strict=True)), Fraction(0))
    return value, -load
