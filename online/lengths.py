"""What policies are told of output lengths: exact, predicted, an interval, or nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..models.errors import InputError
from ..models.instance import Instance, IntArray
from .predictors import predictor

#: What a policy may be told, by the name of the option ``lengths``.
LENGTH_KINDS = ("exact", "predicted", "interval", "none")

#: Largest relative error that predictions are drawn with.
LARGEST_ERROR = 1e6

#: Kinds of lengths that a policy can plan with (an interval's upper end).
PLANNING_KINDS = ("exact", "predicted", "interval")

#: Lengths predicted from tokens so far: told anew at each decision (`SimulatorState`).
HAZARD = "hazard"


class Told(NamedTuple):
    """Told output lengths, an interval per request; 0 where nothing is told.

    Attributes
    ----------
    low, high : ndarray of int64, shape (n,)
        ``1 ≤ low_i ≤ high_i ≤ M − s_i`` in tokens: since every request fits the GPU alone, nothing
        above ``M − s_i`` is ever told.
    """

    low: IntArray
    high: IntArray


def require_lengths(kinds: tuple[str, ...], lengths: str, error: float | None) -> None:
    """Refuse options ``lengths`` and ``error`` that are unknown or do not go together.

    Raises
    ------
    InputError
        If `lengths` is neither one of `kinds` nor a predictor that tells one of them
        (`predictors.KINDS`, or "hazard"), or `error` is not a number from 0 to 10^6 that goes with
        ``lengths=predicted``.
    """
    found = predictor(lengths)
    told = "predicted" if lengths == HAZARD else lengths if found is None else found[0].told
    if told not in kinds:
        raise InputError(f"lengths: expected one of {', '.join(kinds)}; found {lengths!r}")
    if error is None:
        return
    if lengths != "predicted":
        raise InputError(f"error: goes with lengths=predicted, found lengths={lengths}")
    number = isinstance(error, (int, float)) and not isinstance(error, bool)
    if not number or not math.isfinite(error) or not 0 <= error <= LARGEST_ERROR:
        raise InputError(f"error: expected a number from 0 to 10^6, found {error!r}")


@dataclass(frozen=True, slots=True)
class PlanningPolicy:
    """The options of a policy that plans with output lengths, whatever the batching regime.

    Parameters
    ----------
    lengths : {"exact", "predicted", "interval"}
        What it plans with (of an interval its upper end). Under separate batching never too short,
        or the simulation is refused.
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    lengths: str = "exact"
    error: float | None = None

    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS

    def __post_init__(self) -> None:
        require_lengths(self.length_kinds, self.lengths, self.error)


def is_told_anew(policy: Any) -> bool:
    """Say whether a policy is told lengths anew at each decision, by tokens so far."""
    return getattr(policy, "lengths", None) == HAZARD


def told_lengths(instance: Instance, policy: Any, rng: np.random.Generator) -> Told:
    """Say what `policy` is told of each output length.

    Parameters
    ----------
    instance : Instance
        The instance.
    policy : Policy
        Its attributes ``lengths`` and ``error`` decide; without them the first of its
        ``length_kinds``.
    rng : numpy.random.Generator
        Draws the predictions, one per request in the instance's order.

    Returns
    -------
    Told
        An interval per request.

    Raises
    ------
    InputError
        If lengths are to come from the instance's predictions and a request has none, or an
        interval where one number is needed.

    Notes
    -----
    With ``lengths=hazard`` it is all that fits, [1, M − s]: the simulator predicts from there on.

    With ``error=x`` a prediction is ``õ = ⌊o·(1 + x·U)⌋``, U uniform on [0, 1), so that
    ``o ≤ õ ≤ (1 + x)·o``.

    References
    ----------
    arXiv 2502.07115, §2 (predictions ``o ≤ õ ≤ α·o``).
    """
    kind = getattr(policy, "lengths", None) or policy.length_kinds[0]
    error = getattr(policy, "error", None)
    longest = instance.gpu.kv_capacity - instance.prompt
    if kind == "none":
        nothing = np.zeros(instance.n, dtype=np.int64)
        return Told(nothing, nothing)
    if kind == "exact":
        return Told(instance.output, instance.output)
    if kind == HAZARD:
        return Told(np.ones(instance.n, np.int64), longest)
    found = predictor(kind)
    if found is not None:
        ends = found[0].predict(instance, found[1], rng)
        return Told(*(np.minimum(end, longest) for end in ends))
    if error is not None:
        drawn = np.floor(instance.output * (1.0 + error * rng.random(instance.n)))
        predicted = np.minimum(drawn, longest).astype(np.int64)
        return Told(predicted, predicted)
    low, high = _column(instance, kind)
    return Told(np.minimum(low, longest), np.minimum(high, longest))


def _column(instance: Instance, kind: str) -> tuple[IntArray, IntArray]:
    """Return the instance's own predictions, of every request."""
    low, high = instance.predicted_low, instance.predicted_high
    missing = np.arange(instance.n) if low is None else np.flatnonzero(low == 0)
    if low is None or high is None or missing.size:
        drawn = " (or draw predictions with error=x)" if kind == "predicted" else ""
        raise InputError(
            f"requests[{missing[0]}].predicted: lengths={kind} needs it for every request, "
            f"found none{drawn}"
        )
    wide = np.flatnonzero(low != high)
    if kind == "predicted" and wide.size:
        i = int(wide[0])
        raise InputError(
            f"requests[{i}].predicted: lengths=predicted needs one number, found the interval "
            f"[{low[i]}, {high[i]}] (lengths=interval reckons with its upper end)"
        )
    return low, high
