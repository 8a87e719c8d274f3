"""All batching regimes by name: the only place of this wing that names them."""

from __future__ import annotations

from ..models.errors import InputError
from ..models.shown import alternatives
from .continuous.regime import CONTINUOUS
from .mixed.regime import MIXED
from .regime import OnlineRegime
from .separate.regime import SEPARATE

#: The regimes by name.
REGIMES: dict[str, OnlineRegime] = {each.model: each for each in (MIXED, SEPARATE, CONTINUOUS)}


def regime(model: str) -> OnlineRegime:
    """Return a regime by its name.

    Raises
    ------
    InputError
        If there is none of this name.

    Examples
    --------
    >>> list(regime("separate").registry.built_in)[0]
    'prefill-first'
    """
    if model not in REGIMES:
        known = alternatives(map(repr, REGIMES))
        raise InputError(f"model: expected {known}, found {model!r}")
    return REGIMES[model]
