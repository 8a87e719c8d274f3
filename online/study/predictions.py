"""Predictions of output lengths with an error that is set: what a study tells the policies.

Every kind draws the same random numbers for the same seed, whatever its size: predictions of
different error on one instance differ by their error only (common random numbers).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from ...models.errors import InputError
from ...models.instance import FloatArray, Instance, IntArray

Told = Literal["exact", "predicted", "interval", "none"]

#: Stream of the seed that predictions are drawn from: no instance or policy draws from it.
STREAM = 0x9E37

#: No prediction is longer: a request can never be longer than the KV capacity.
LONGEST = 2**40

Ends = tuple[IntArray, IntArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What policies are told of output lengths in a cell.

    Attributes
    ----------
    name : str
        ``"default"`` (each policy is told what it asks for), ``"exact"``, ``"none"``, or a kind
        of `KINDS`.
    size : float or None
        The error x ≥ 0 of the kind, or its number of classes.

    Examples
    --------
    >>> parse_predictions("noise:0.5")
    Predictions(name='noise', size=0.5)
    """

    name: str
    size: float | None = None

    @property
    def label(self) -> str:
        """Its name in tables and study files."""
        return self.name if self.size is None else f"{self.name}:{self.size:g}"

    @property
    def told(self) -> Told | None:
        """What the option ``lengths`` of a policy must say; None for the policy's own default."""
        if self.name in KINDS:
            return KINDS[self.name].told
        return None if self.name == "default" else self.name  # type: ignore[return-value]

    def predict(self, instance: Instance, seed: int) -> Instance:
        """Return the instance with these predictions; as it is where none are drawn.

        Parameters
        ----------
        instance : Instance
            The instance.
        seed : int
            ≥ 0, the cell's.
        """
        if self.size is None:
            return instance
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM,)))
        low, high = KINDS[self.name].draw(instance.output, self.size, rng)
        return instance.replace(predicted_low=low, predicted_high=high)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of prediction with error.

    Attributes
    ----------
    told : {"predicted", "interval"}
        What it tells: one number, or an interval.
    size : str
        What its size is, in words.
    draw : callable
        ``draw(output, size, rng)`` returns the ends of each interval (equal for one number).
    """

    told: Told
    size: str
    draw: Callable[[IntArray, float, np.random.Generator], Ends]


def over(output: IntArray, x: float, rng: np.random.Generator) -> Ends:
    """Return predictions that are never too short: ``õ = ⌊o·(1 + x·U)⌋``, U uniform on [0, 1).

    References
    ----------
    arXiv 2502.07115, §2: ``o ≤ õ ≤ α·o`` with α = 1 + x.
    """
    predicted = _tokens(np.floor(output * (1.0 + x * rng.random(output.size))))
    return predicted, predicted


def noise(output: IntArray, x: float, rng: np.random.Generator) -> Ends:
    """Return predictions too short as often as too long: ``õ = max(1, ⌊o·e^{x·N} + 1/2⌋)``.

    N is standard normal, so that x is the standard deviation of ln(õ/o).
    """
    factor = np.exp(np.clip(x * rng.standard_normal(output.size), -50.0, 50.0))
    predicted = _tokens(np.floor(output * factor + 0.5))
    return predicted, predicted


def interval(output: IntArray, x: float, rng: np.random.Generator) -> Ends:
    """Return intervals that hold the truth: ``[⌈o/(1 + x·U)⌉, ⌊o·(1 + x·V)⌋]``, U, V uniform."""
    U, V = rng.random((2, output.size))
    return _tokens(np.ceil(output / (1.0 + x * U))), _tokens(np.floor(output * (1.0 + x * V)))


def class_means(output: IntArray, k: float, rng: np.random.Generator) -> Ends:
    """Return the mean of each request's class: k classes of equal size by output length.

    Requests of one length are in one class, that of the first of them; the mean is rounded to
    tokens. With k = 1 everything is told the overall mean.
    """
    rank = np.searchsorted(np.sort(output), output)
    group = rank * int(k) // output.size
    total = np.bincount(group, weights=output)
    count = np.bincount(group)
    mean = _tokens(np.floor(total / np.maximum(count, 1) + 0.5))[group]
    return mean, mean


#: Kinds of prediction with a size.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "over": Kind("predicted", "a relative error from 0 to 10^6", over),
        "noise": Kind("predicted", "a relative error from 0 to 10^6", noise),
        "interval": Kind("interval", "a relative error from 0 to 10^6", interval),
        "class-means": Kind("predicted", "an integer from 1 to 10^6", class_means),
    }
)
_PLAIN = ("default", "exact", "none")


def parse_predictions(text: object) -> Predictions:
    """Parse ``default``, ``exact``, ``none``, or ``KIND:SIZE``.

    Raises
    ------
    InputError
        If it is none of these, or the size is out of its range.

    Examples
    --------
    >>> parse_predictions("class-means:3").told
    'predicted'
    """
    name, colon, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    if name in _PLAIN and not colon:
        return Predictions(name=name)
    if name not in KINDS or not colon:
        kinds = ", ".join([*_PLAIN, *(f"{kind}:SIZE" for kind in KINDS)])
        raise InputError(f"predictions: expected one of {kinds}; found {text!r}")
    return Predictions(name=name, size=_size(name, rest))


def _size(name: str, text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    classes = name == "class-means"
    if not (int(classes) <= size <= 1e6) or (classes and size != int(size)):
        raise InputError(f"predictions: {name}: expected {KINDS[name].size}, found {text!r}")
    return size


def _tokens(values: FloatArray) -> IntArray:
    tokens: IntArray = np.clip(values, 1, LONGEST).astype(np.int64)
    return tokens
