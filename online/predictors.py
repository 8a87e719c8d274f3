"""Predictors of output lengths: noise of a set size, and means and quantiles of the past only.

A specification is ``KIND:SIZE``, or of bins ``KIND:SIZE:qPERCENT`` for an upper quantile in place
of the mean. Policies take it as the option ``lengths`` in every regime, and studies as their
predictions. Noise knows the truth and errs by a set amount; each kind draws the same random numbers
for the same seed, whatever its size (common random numbers). Fitted predictors know of each request
what a server could have logged before it came.
"""

from __future__ import annotations

import heapq
import math
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np

from ..models.durations import batch_durations
from ..models.errors import InputError
from ..models.instance import FloatArray, Instance, IntArray
from ..models.shown import alternatives

#: No prediction is longer: a request can never be longer than the KV capacity.
LONGEST = 2**40

Ends = tuple[IntArray, IntArray]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of predictor.

    Attributes
    ----------
    told : {"predicted", "interval"}
        What it tells: one number, or an interval.
    size : str
        What its size is, in words.
    predict : callable
        ``predict(instance, size, rng)`` returns the ends of each interval (equal for one number).
    whole : bool
        Whether the size is an integer of at least 1; otherwise it is a number of at least 0.
    """

    told: Literal["predicted", "interval"]
    size: str
    predict: Callable[[Instance, float, np.random.Generator], Ends]
    whole: bool = False


def over(instance: Instance, x: float, rng: np.random.Generator) -> Ends:
    """Return predictions that are never too short: ``õ = ⌊o·(1 + x·U)⌋``, U uniform on [0, 1).

    References
    ----------
    arXiv 2502.07115, §2: ``o ≤ õ ≤ α·o`` with α = 1 + x.
    """
    output = instance.output
    predicted = _tokens(np.floor(output * (1.0 + x * rng.random(output.size))))
    return predicted, predicted


def noise(instance: Instance, x: float, rng: np.random.Generator) -> Ends:
    """Return predictions too short as often as too long: ``õ = max(1, ⌊o·e^{x·N} + 1/2⌋)``.

    N is standard normal, so that x is the standard deviation of ln(õ/o).
    """
    output = instance.output
    factor = np.exp(np.clip(x * rng.standard_normal(output.size), -50.0, 50.0))
    predicted = _tokens(np.floor(output * factor + 0.5))
    return predicted, predicted


def interval(instance: Instance, x: float, rng: np.random.Generator) -> Ends:
    """Return intervals that hold the truth: ``[⌈o/(1 + x·U)⌉, ⌊o·(1 + x·V)⌋]``, U, V uniform."""
    output = instance.output
    U, V = rng.random((2, output.size))
    return _tokens(np.ceil(output / (1.0 + x * U))), _tokens(np.floor(output * (1.0 + x * V)))


def class_means(instance: Instance, k: float, rng: np.random.Generator) -> Ends:
    """Return the mean of each request's class: k classes of equal size by output length.

    Requests of one length are in one class, that of the first of them; the mean is rounded to
    tokens. With k = 1 everything is told the overall mean.
    """
    output = instance.output
    rank = np.searchsorted(np.sort(output), output)
    group = rank * int(k) // output.size
    total = np.bincount(group, weights=output)
    count = np.bincount(group)
    mean = _tokens(np.floor(total / np.maximum(count, 1) + 0.5))[group]
    return mean, mean


def bins(
    instance: Instance, k: float, rng: np.random.Generator, percent: float | None = None
) -> Ends:
    """Return the mean output of past requests with prompts of like length: k bins of the prompts.

    With k = 1 it is the mean of the past; with a percentage its quantile. See `BinnedMeans`,
    `BinnedQuantiles`, `told_by_past`.
    """
    return _of_past(instance, int(k), [""] * instance.n, percent)


def class_bins(
    instance: Instance, k: float, rng: np.random.Generator, percent: float | None = None
) -> Ends:
    """Return the same as `bins`, for the requests of each class label apart."""
    label = [""] * instance.n if instance.label is None else list(instance.label)
    return _of_past(instance, int(k), label, percent)


def _of_past(instance: Instance, k: int, group: list[str], percent: float | None) -> Ends:
    made = BinnedMeans if percent is None else partial(BinnedQuantiles, percent=percent)
    told = _tokens(np.floor(told_by_past(instance, k, group, made) + 0.5))
    return told, told


class Learner(Protocol):
    """What learns output lengths by prompt length, one request at a time."""

    def add(self, prompt: int, output: int) -> None:
        """Learn the output length of a request, both in tokens."""

    def expected(self, prompt: int) -> float | None:
        """Return what is predicted for a prompt; None where nothing is known."""


class BinnedMeans:
    """Mean outputs by prompt length, learned one request at a time.

    Bins are quantiles of the prompts seen; they are drawn anew whenever twice as many requests are
    known. The mean of a bin counts the overall mean as one more request of it, so that a bin of
    few requests does not stray.

    Parameters
    ----------
    k : int
        How many bins, ≥ 1.

    Examples
    --------
    >>> means = BinnedMeans(2)
    >>> for prompt, output in [(5, 100), (900, 8), (5, 100), (900, 8)]:
    ...     means.add(prompt, output)
    >>> round(means.expected(6)), round(means.expected(800))
    (85, 23)
    >>> BinnedMeans(2).expected(6) is None
    True
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self._prompts: list[int] = []
        self._outputs: list[int] = []
        self._edges: FloatArray = np.empty(0)
        self._total: FloatArray = np.zeros(k)
        self._count: IntArray = np.zeros(k, np.int64)
        self._sum = 0

    def add(self, prompt: int, output: int) -> None:
        """Learn the output length of a request, both in tokens."""
        self._prompts.append(prompt)
        self._outputs.append(output)
        self._sum += output
        size = len(self._prompts)
        if size & (size - 1) == 0:  # 1, 2, 4, …
            self._draw_bins()
        else:
            at = np.searchsorted(self._edges, prompt)
            self._total[at] += output
            self._count[at] += 1

    def expected(self, prompt: int) -> float | None:
        """Return the mean output of prompts of like length; None where nothing is known."""
        if not self._prompts:
            return None
        at = np.searchsorted(self._edges, prompt)
        overall = self._sum / len(self._prompts)
        return float((self._total[at] + overall) / (self._count[at] + 1))

    def _draw_bins(self) -> None:
        prompts = np.array(self._prompts)
        self._edges = np.quantile(prompts, np.linspace(0, 1, self._k + 1)[1:-1])
        at = np.searchsorted(self._edges, prompts)
        total = np.bincount(at, weights=self._outputs, minlength=self._k)
        self._total = total.astype(np.float64)
        self._count = np.bincount(at, minlength=self._k)


class BinnedQuantiles:
    """Upper quantiles of outputs by prompt length, learned one request at a time.

    Bins are as in `BinnedMeans`. Predicted is the least length that the given percentage of the
    bin's requests do not exceed, the one to come counted as one that does: of m requests the
    ``⌈(m + 1)·percent / 100⌉``-th shortest. So if a bin's requests come in no order, the next one
    is longer with a probability of at most ``1 − percent / 100`` (split conformal prediction).
    Where a bin has too few requests for that, all bins count together; where these are too few,
    their longest.

    Parameters
    ----------
    k : int
        How many bins, ≥ 1.
    percent : float
        From 0 to 100, both excluded.

    Examples
    --------
    Of ten requests the tenth shortest is exceeded by one in eleven; the median is the sixth.

    >>> upper, median = BinnedQuantiles(1, percent=90), BinnedQuantiles(1, percent=50)
    >>> for output in range(1, 11):
    ...     upper.add(5, output)
    ...     median.add(5, output)
    >>> upper.expected(5), median.expected(5), BinnedQuantiles(1, percent=90).expected(5)
    (10.0, 6.0, None)

    References
    ----------
    Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, 2005.
    """

    def __init__(self, k: int, *, percent: float) -> None:
        self._k = k
        self._share = Fraction(percent) / 100
        self._prompts: list[int] = []
        self._outputs: list[int] = []
        self._edges: FloatArray = np.empty(0)
        self._known: list[list[int]] = [[] for _ in range(k)]
        self._all: list[int] = []

    def add(self, prompt: int, output: int) -> None:
        """Learn the output length of a request, both in tokens."""
        self._prompts.append(prompt)
        self._outputs.append(output)
        insort(self._all, output)
        size = len(self._prompts)
        if size & (size - 1) == 0:  # 1, 2, 4, …
            self._draw_bins()
        else:
            insort(self._known[int(np.searchsorted(self._edges, prompt))], output)

    def expected(self, prompt: int) -> float | None:
        """Return the quantile of prompts of like length; None where nothing is known."""
        if not self._all:
            return None
        for known in (self._known[int(np.searchsorted(self._edges, prompt))], self._all):
            rank = math.ceil((len(known) + 1) * self._share)
            if rank <= len(known):
                return float(known[rank - 1])
        return float(self._all[-1])

    def _draw_bins(self) -> None:
        prompts = np.array(self._prompts)
        self._edges = np.quantile(prompts, np.linspace(0, 1, self._k + 1)[1:-1])
        at = np.searchsorted(self._edges, prompts)
        outputs = np.array(self._outputs)
        self._known = [np.sort(outputs[at == each]).tolist() for each in range(self._k)]


def told_by_past(
    instance: Instance,
    k: int,
    group: list[str],
    learner: Callable[[int], Learner] = BinnedMeans,
) -> FloatArray:
    """Predict each output by a learner of the requests before it, shape (n,).

    A request is known from the moment at which it would be complete if it were served alone from
    its arrival on; no policy completes it sooner. Where nothing of its group is known what all
    groups say counts; where nothing is known at all, one token, as policies plan that learn lengths
    while they run.

    Parameters
    ----------
    instance : Instance
        The requests, and the law by which batches take time.
    k : int
        Bins per group, ≥ 1.
    group : list of str
        The group of each request.
    learner : callable
        Makes the `Learner` of a number of bins.

    Examples
    --------
    The second comes when the first could not be complete; the third is told its output.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=20), arrival=[0, 3, 4], prompt=[2] * 3, output=[4] * 3
    ... )
    >>> told_by_past(instance, 1, [""] * 3).tolist()
    [1.0, 1.0, 4.0]
    """
    law = batch_durations(instance)
    groups: dict[str, Learner] = {}
    overall = learner(1)
    running: list[tuple[int, int]] = []
    predicted = np.empty(instance.n)
    rows = list(zip(instance.arrival.tolist(), instance.prompt.tolist(), strict=True))
    for i in np.argsort(instance.arrival, kind="stable").tolist():
        arrival, prompt = rows[i]
        while running and running[0][0] <= arrival:
            _, j = heapq.heappop(running)
            if group[j] not in groups:
                groups[group[j]] = learner(k)
            for each in (overall, groups[group[j]]):
                each.add(rows[j][1], int(instance.output[j]))
        expected = groups[group[i]].expected(prompt) if group[i] in groups else None
        expected = overall.expected(prompt) if expected is None else expected
        predicted[i] = 1 if expected is None else expected
        alone = law.batch(prompt, 0, 0) + (int(instance.output[i]) - 1) * law.batch(0, 1, prompt)
        heapq.heappush(running, (arrival + alone, i))
    return predicted


#: Kinds of predictor.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "over": Kind("predicted", "a relative error from 0 to 10^6", over),
        "noise": Kind("predicted", "a relative error from 0 to 10^6", noise),
        "interval": Kind("interval", "a relative error from 0 to 10^6", interval),
        "class-means": Kind("predicted", "an integer from 1 to 10^6", class_means, whole=True),
        "bins": Kind("predicted", "an integer from 1 to 10^6", bins, whole=True),
        "class-bins": Kind("predicted", "an integer from 1 to 10^6", class_bins, whole=True),
    }
)


#: Kinds of which an upper quantile may be asked for.
OF_BINS = ("bins", "class-bins")


def predictor(text: str) -> tuple[Kind, float] | None:
    """Return kind and size of a specification ``KIND:SIZE``; None if it names no kind.

    With ``KIND:SIZE:qPERCENT`` the kind tells that quantile.

    Raises
    ------
    InputError
        If the size is out of its range, or a quantile is asked for that there is not.

    Examples
    --------
    >>> kind, size = predictor("bins:50")
    >>> kind.told, size, predictor("exact")
    ('predicted', 50.0, None)
    >>> predictor("bins:50:q90")[1]
    50.0
    """
    name, colon, rest = text.partition(":")
    if name not in KINDS or not colon:
        return None
    kind = KINDS[name]
    number, quantile, percent = rest.partition(":")
    size = _number(number)
    if not (int(kind.whole) <= size <= 1e6) or (kind.whole and size != int(size)):
        raise InputError(f"{name}: expected {kind.size}, found {number!r}")
    if not quantile:
        return kind, size
    if name not in OF_BINS:
        raise InputError(f"{name}: expected no quantile, which is of {alternatives(OF_BINS)}")
    upper = _number(percent.removeprefix("q"))
    if not percent.startswith("q") or not 0 < upper < 100:
        raise InputError(
            f"{name}: expected a quantile as q90, between q0 and q100, found {percent!r}"
        )
    of = bins if name == "bins" else class_bins
    return replace(kind, predict=partial(of, percent=upper)), size


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _tokens(values: FloatArray) -> IntArray:
    tokens: IntArray = np.clip(values, 1, LONGEST).astype(np.int64)
    return tokens
