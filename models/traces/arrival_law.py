"""Arrivals for traces that have none: all at once, or a Poisson process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np

from ..errors import InputError
from .clock import LATEST
from .columns import TraceRequest

_DRAWS = 4096


def arrival_law(spec: str) -> Iterator[int]:
    """Return the endless arrivals of a law, in nanoseconds.

    Parameters
    ----------
    spec : str
        ``"burst"``: all at 0. ``"poisson:rate=2.5,seed=1"``: a Poisson process of that many
        requests per second (> 0) from time 0; the seed (an integer ≥ 0) is 0 by default.

    Raises
    ------
    InputError
        If the law is unknown or a setting is missing, unknown or out of range.

    Examples
    --------
    >>> law = arrival_law("burst")
    >>> [next(law), next(law)]
    [0, 0]
    """
    name, _, text = spec.partition(":")
    if spec == "burst":
        return repeat(0)
    if name == "poisson":
        rate, seed = _poisson_settings(text)
        return _poisson(rate, seed)
    raise InputError(f"arrivals: expected burst or poisson:rate=…,seed=…; found {spec!r}")


def with_arrivals(
    requests: Iterable[TraceRequest], arrivals: Iterator[int]
) -> Iterator[TraceRequest]:
    """Give each request the next arrival of a law, in file order."""
    for request, arrival in zip(requests, arrivals, strict=False):
        yield request._replace(arrival=arrival)


def _poisson(rate: float, seed: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    now = 0.0
    while True:
        for gap in rng.exponential(1e9 / rate, _DRAWS).tolist():
            now += gap
            if now >= LATEST:
                raise InputError(f"arrivals: rate {rate:g} per second leads beyond 64-bit times")
            yield int(now)


def _poisson_settings(text: str) -> tuple[float, int]:
    expected = "arrivals: expected poisson:rate=…,seed=…; found"
    parts = [part.partition("=")[::2] for part in text.split(",")] if text else []
    settings = dict(parts)
    for key in settings.keys() - {"rate", "seed"}:
        raise InputError(f"{expected} {key!r}")
    if not parts or len(settings) < len(parts):
        raise InputError(f"{expected} {text!r}")
    try:
        rate = float(settings.get("rate", "nan"))
        seed = int(settings.get("seed", "0"))
    except ValueError as error:
        raise InputError(f"{expected} {text!r}") from error
    if not (math.isfinite(rate) and 1e-6 <= rate <= 1e9) or seed < 0:
        raise InputError(
            "arrivals: expected a rate from 10^-6 to 10^9 requests per second and a seed of at "
            f"least 0, found {text!r}"
        )
    return rate, seed
