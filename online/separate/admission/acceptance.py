"""Whom to accept: the Bayes selector's closed form, and the rivals' rules, compiled.

All of them see the remaining time L (until T, from when the GPU is free), the work R that is
accepted and not done, the arrival rates, and how much work the GPU has done per slot while it had
enough of it (`speed` η: 1 but where KV keeps batches from being full); never the future.

**Bayes selector.** A request of the k-th densest type arrives. On a path, accepting it is not
satisfying iff the denser types alone would keep the GPU busy to the end (they would be displaced):

    R + w_k + work of denser types to come > η·L.

Rejecting it is not satisfying iff, with all types up to the k-th accepted from now on, the GPU
would stop (or run part-filled batches) before T: GPU time perishes, and the request would have
used it. Let μ and σ² be mean and variance of the work per slot that arrives. By the diffusion
with these moments, up to constants,

    log P[Q(accept)] = −z²/2,                    z = (η·L − R − w_k − μ_{<k}·L_k) / (σ_{<k}·√L_k),
    log P[Q(reject)] = −2·ε·x/σ²                 if ε = μ_{≤k} − η > 0 and x ≤ ε·L,
                       −(x + ε·L)²/(2·σ²·L)      otherwise (0 where x + ε·L < 0),

x being the work beyond what it takes to keep batches full. The smaller probability decides; and
what cannot be completed by T is never accepted. Denser types count only while they can still
be completed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray
from ...coupling.infrequent_resolving import THRESHOLD_EXPONENT
from .law import AdmissionLaw
from .state import WORK, CompiledLaw, State
from .workloads import Workloads

#: Policies in the order of tables.
RULES = ("bayes", "resolve", "static", "irt", "accept-all", "density-greedy", "packing-bayes")
BAYES, RESOLVE, STATIC, IRT, ACCEPT_ALL, DENSITY_GREEDY, PACKING_BAYES, CLAIRVOYANT = range(8)


class Forecast(NamedTuple):
    """What the law says of the work to come, in slots.

    Attributes
    ----------
    mean, variance : ndarray of float64, shape (K,)
        Of the work per slot that arrives, by type: ``λ_j w_j`` and ``λ_j w_j²``.
    full : float
        Work that keeps batches full: a prompt batch waits, and a token batch is half done.
    """

    mean: FloatArray
    variance: FloatArray
    full: float


def make_forecast(law: AdmissionLaw, workloads: Workloads) -> Forecast:
    """Put a law's arrivals into numbers."""
    w = workloads.total / workloads.unit
    rates = np.array([float(rate) for rate in law.rates])
    mean_work = float((rates * w).sum() / rates.sum())
    pipeline = law.prompt_batch_requests + law.token_batch_requests / 2
    return Forecast(mean=rates * w, variance=rates * w * w, full=pipeline * mean_work)


@njit(cache=True, nogil=True)
def bayes_accepts(
    law: CompiledLaw, forecast: Forecast, state: State, slots: int, speed: float, j: int
) -> bool:
    """Whether P[Q(accept)] ≤ P[Q(reject)] by the closed form."""
    L = float(slots)
    R = state.sums[WORK] / law.unit
    displaced, spread, mean, variance = 0.0, 0.0, 0.0, 0.0
    for k in range(law.order.size):
        i = law.order[k]
        mean += forecast.mean[i]
        variance += forecast.variance[i]
        if i == j:
            break
        useful = max(0.0, L - 2 * law.prompt_time - law.token_time * (law.o[i] - 1))
        displaced += forecast.mean[i] * useful
        spread += forecast.variance[i] * useful
    room = speed * L - R - law.total_work[j] / law.unit - displaced
    if room < 0:
        return False
    if spread == 0.0:
        return True
    x = R - forecast.full
    if x <= 0:
        return True
    span = max(1.0, L - forecast.full)
    drift = mean - speed
    if drift > 0 and x <= drift * span:
        idle = 2 * drift * x / variance
    else:
        end = max(0.0, x + drift * span)
        idle = end * end / (2 * variance * span)
    return bool(room * room / (2 * spread) >= idle)


@njit(cache=True, nogil=True)
def fluid_share(law: CompiledLaw, forecast: Forecast, room: float, span: float, j: int) -> float:
    """Share of type j that the fluid greedy accepts: `room` slots of work, `span` slots to come."""
    if span <= 0:
        return 0.0
    for k in range(law.order.size):
        i = law.order[k]
        if i == j:
            break
        room -= forecast.mean[i] * span
    return float(min(1.0, max(0.0, room / (forecast.mean[j] * span))))


@njit(cache=True, nogil=True)
def trimmed(share: float, left: int) -> float:
    """IRT's thresholds at a re-solve with so many slots to go."""
    margin = math.pow(max(left, 1), -THRESHOLD_EXPONENT)
    if share < margin:
        return 0.0
    if share > 1 - margin:
        return 1.0
    return share


@njit(cache=True, nogil=True)
def never_overcommits(rule: int) -> bool:
    """Whether a rule accepts only what the schedule can still complete.

    The rules that look at the state do; those that keep their own count of it cannot.
    """
    return rule in (BAYES, RESOLVE, IRT, DENSITY_GREEDY, CLAIRVOYANT)


def resolving_slots(spans: list[tuple[int, int, bool]]) -> IntArray:
    """Return IRT's re-solves as rows ``(slots to go, whether to trim)``."""
    return np.array([(now, int(trim)) for now, _, trim in spans], dtype=np.int64)
