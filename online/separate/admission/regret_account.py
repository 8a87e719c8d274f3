"""Where the regret of an admission run arises: compensations at the path's prices, exactly.

The potential is the dual value of what is left (docs/coupling.md): with λ(s) the price of GPU time
in slot s and λ that of now,

    Φ(t, S) = Σ_{arrivals to come} (r − λ(a)·W)⁺ + unit·Σ_{s ≥ t} λ(s)
              + Σ_{accepted, not complete} max(r − λ·(work to go), −penalty)

It is the aggregated hindsight value at time 0 and 0 at T, and no action gains more than it takes
from Φ, so every compensation is at least 0: rejecting costs (r − λW)⁺, accepting what is not worth
its work the difference, an idle slot its price, a batch the price of the part that its jobs do not
fill, carried over a price rise that rise, and what is accepted and late its reward and
penalty. They add up to the regret on every path, whatever the policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ....models.instance import FloatArray, IntArray
from ...environments.environment import BINS, Outcome, time_bins
from .bound import Hindsight
from .law import AdmissionLaw
from .simulation import Counts
from .state import IDLE, PROMPT, TOKEN
from .workloads import Workloads


def segment_edges(horizon: int, known: Hindsight) -> IntArray:
    """Edges of the segments of time: the bins of tables, cut where the price rises."""
    bins = np.ceil(time_bins(horizon)).astype(np.int64)
    rises = known.since[known.since < horizon]
    return np.unique(np.concatenate([bins, rises]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """Compensations of one segment of time, in units of 1/scale of reward, by part."""

    begin: int
    paid: Mapping[str, int]


def account(
    law: AdmissionLaw, workloads: Workloads, known: Hindsight, edges: IntArray, counts: Counts
) -> Outcome:
    """Account for a run.

    Parameters
    ----------
    law : AdmissionLaw
        The law.
    workloads : Workloads
        Units of work.
    known : Hindsight
        Value and prices of the path.
    edges : ndarray of int64
        Of `segment_edges`.
    counts : Counts
        What happened, by those segments.

    Returns
    -------
    Outcome
        Value, benchmark, compensations by time and by part, residual; all exact.
    """
    scale = math.lcm(*(d.denominator for d in known.densities))
    segments = [
        _segment(law, workloads, known, edges, counts, index, scale)
        for index in range(edges.size - 1)
    ]
    names = segments[0].paid.keys()
    total = sum(sum(segment.paid.values()) for segment in segments)
    smallest = min(min(segment.paid.values()) for segment in segments)
    value = counts.earned(law)
    horizon = int(edges[-1])
    return Outcome(
        value=value,
        hindsight=known.value,
        by_time=_by_time(segments, horizon, scale),
        by_part={
            name: float(Fraction(sum(s.paid[name] for s in segments), scale)) for name in names
        },
        residual=known.value - value - Fraction(total, scale),
        smallest=Fraction(smallest, scale),
    )


def _segment(
    law: AdmissionLaw,
    workloads: Workloads,
    known: Hindsight,
    edges: IntArray,
    counts: Counts,
    index: int,
    scale: int,
) -> _Segment:
    """Price what was counted in a segment, at its one price; a rise of the price at its end."""
    begin, end = int(edges[index]), int(edges[index + 1])
    last = end == int(edges[-1])
    price = int(known.densities[known.level(begin)] * scale)
    following = price if last else int(known.densities[known.level(end)] * scale)
    now, then = _worth(law, workloads, price, scale), _worth(law, workloads, following, scale)
    paid: dict[str, int] = {}
    for j in range(law.types):
        surplus = law.reward[j] * scale - price * int(workloads.total[j])
        fresh = int(now.waiting[j])
        paid[f"reject type {j + 1}"] = int(counts.rejected[index, j]) * max(0, surplus)
        paid[f"accept type {j + 1}"] = int(counts.accepted[index, j]) * (max(0, surplus) - fresh)
    time = counts.time[index].tolist()
    paid["idle"] = price * workloads.unit * time[IDLE]
    gained = _dot(counts.prompts[index], now.prompt_gain)
    paid["prompt batches not full"] = price * workloads.unit * time[PROMPT] - gained
    gained = _dot(counts.tokens[index], now.token_gain)
    paid["token batches not full"] = price * workloads.unit * time[TOKEN] - gained
    waiting, running = counts.waiting[index], counts.running[index]
    carried = _dot(waiting, now.waiting - then.waiting) + _dot(running, now.running - then.running)
    carried += (following - price) * workloads.unit * int(counts.busy[index])
    paid["carried over a price rise"] = carried
    for j in range(law.types):
        paid[f"late type {j + 1}"] = 0
        if last:
            penalty = law.penalties[j] * scale
            late = _dot(waiting[j : j + 1], now.waiting[j : j + 1] + penalty)
            late += _dot(running[j], now.running[j] + penalty)
            paid[f"late type {j + 1}"] = late
    return _Segment(begin=begin, paid=paid)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Worth:
    """What accepted requests are worth at a price, as Python integers, and what jobs add to it."""

    waiting: np.ndarray
    running: np.ndarray
    prompt_gain: np.ndarray
    token_gain: np.ndarray


def _worth(law: AdmissionLaw, workloads: Workloads, price: int, scale: int) -> _Worth:
    """Evaluate ``max(r − λ·(work to go), −penalty)``; column ρ = 0 is a completed request."""
    reward = np.array([r * scale for r in law.reward], dtype=object)
    penalty = np.array([p * scale for p in law.penalties], dtype=object)
    waiting = np.maximum(reward - price * workloads.total.astype(object), -penalty)
    running = np.maximum(
        reward[:, None] - price * workloads.left().astype(object), -penalty[:, None]
    )
    token_gain = np.zeros_like(running)
    token_gain[:, 1:] = running[:, :-1] - running[:, 1:]
    fresh = running[np.arange(law.types), np.array(law.output) - 1]
    return _Worth(
        waiting=waiting, running=running, prompt_gain=fresh - waiting, token_gain=token_gain
    )


def _dot(count: IntArray, worth: np.ndarray) -> int:
    """Exact sum of counts times worths."""
    index = np.nonzero(count)
    return sum(c * v for c, v in zip(count[index].tolist(), worth[index].tolist(), strict=True))


def _by_time(segments: list[_Segment], horizon: int, scale: int) -> FloatArray:
    bins = np.ceil(time_bins(horizon)).astype(np.int64)
    totals = np.zeros(BINS, dtype=object)
    for segment in segments:
        # Horizons below BINS have empty bins; a segment belongs to the last that begins by then.
        totals[int(np.searchsorted(bins[:-1], segment.begin, side="right")) - 1] += sum(
            segment.paid.values()
        )
    return np.array([float(Fraction(int(total), scale)) for total in totals])
