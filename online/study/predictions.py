"""Predictions of output lengths with an error that is set: what a study tells the policies.

The kinds are those of `online.predictors`; here they are drawn once per instance, so that all
policies of a study are told the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...models.errors import InputError
from ...models.instance import Instance
from ..lengths import HAZARD
from ..predictors import KINDS, predictor

Told = Literal["exact", "predicted", "interval", "none", "hazard"]

_PLAIN = ("default", "exact", HAZARD, "none")

#: Stream of the seed that predictions are drawn from: no instance or policy draws from it.
STREAM = 0x9E37


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What policies are told of output lengths in a cell.

    Attributes
    ----------
    name : str
        ``"default"`` (each policy is told what it asks for), ``"exact"``, ``"hazard"``,
        ``"none"``, or a kind of `KINDS`.
    size : float or None
        The error x ≥ 0 of the kind, or its number of classes.
    quantile : str
        Of bins ``"q90"`` and the like for an upper quantile; else empty.

    Examples
    --------
    >>> parse_predictions("noise:0.5")
    Predictions(name='noise', size=0.5, quantile='')
    """

    name: str
    size: float | None = None
    quantile: str = ""

    @property
    def label(self) -> str:
        """Its name in tables and study files."""
        if self.size is None:
            return self.name
        return f"{self.name}:{self.size:g}" + (f":{self.quantile}" if self.quantile else "")

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
        found = predictor(self.label)
        assert found is not None  # it was parsed
        low, high = found[0].predict(instance, self.size, rng)
        return instance.replace(predicted_low=low, predicted_high=high)


def parse_predictions(text: object) -> Predictions:
    """Parse ``default``, ``exact``, ``hazard``, ``none``, ``KIND:SIZE``, or ``KIND:SIZE:qPERCENT``.

    Raises
    ------
    InputError
        If it is none of these, or the size is out of its range.

    Examples
    --------
    >>> parse_predictions("class-means:3").told
    'predicted'
    """
    name, colon, size = text.partition(":") if isinstance(text, str) else ("", "", "")
    if name in _PLAIN and not colon:
        return Predictions(name=name)
    if name not in KINDS or not colon:
        kinds = ", ".join([*_PLAIN, *(f"{kind}:SIZE" for kind in KINDS)])
        raise InputError(f"predictions: expected one of {kinds}; found {text!r}")
    try:
        found = predictor(f"{name}{colon}{size}")
    except InputError as error:
        raise InputError(f"predictions: {error}") from error
    quantile = size.partition(":")[2]
    return Predictions(name=name, size=None if found is None else found[1], quantile=quantile)
