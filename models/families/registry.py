"""The families by name, and the one way to make an instance of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType

import numpy as np

from ..errors import InputError
from ..instance import Instance
from ..shown import suggestion
from .arrival_models import ARRIVAL_MODEL_1, ARRIVAL_MODEL_2
from .azure import AZURE_CODE, AZURE_CONVERSATION
from .continuous_conversation import CONTINUOUS_CONVERSATION
from .continuous_random import CONTINUOUS_RANDOM
from .family import Family
from .fcfs_breaker import FCFS_BREAKER
from .limit_cycle import LIMIT_CYCLE
from .lognormal_burst import LOGNORMAL_BURST
from .round_limits import with_round_limits
from .separate_conversation import SEPARATE_CONVERSATION
from .separate_random import SEPARATE_RANDOM
from .setting import Setting
from .shortest_output_breaker import SHORTEST_OUTPUT_BREAKER
from .sqrt_adversary import SQRT_ADVERSARY

#: Families by name.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            with_round_limits(ARRIVAL_MODEL_1),
            with_round_limits(ARRIVAL_MODEL_2),
            AZURE_CONVERSATION,
            AZURE_CODE,
            with_round_limits(LOGNORMAL_BURST),
            SQRT_ADVERSARY,
            FCFS_BREAKER,
            SHORTEST_OUTPUT_BREAKER,
            LIMIT_CYCLE,
            SEPARATE_RANDOM,
            SEPARATE_CONVERSATION,
            CONTINUOUS_RANDOM,
            CONTINUOUS_CONVERSATION,
        )
    }
)

_SEED = Setting(name="seed", kind="integer", description="seed", low=0, high=2**62)


def make_instance(
    name: str, *, seed: int = 0, settings: Mapping[str, str | int | float] | None = None
) -> Instance:
    """Make an instance of a family; the same arguments make the same instance.

    Parameters
    ----------
    name : str
        A name of `FAMILIES`.
    seed : int
        Seed ≥ 0 of ``numpy.random.default_rng``.
    settings : mapping, optional
        Settings of the family, as text or as values.

    Returns
    -------
    Instance
        Named after the family, the seed and the settings given; its provenance holds them all.

    Raises
    ------
    InputError
        If the family or a setting is unknown, or a value has a wrong type or range.

    Examples
    --------
    >>> instance = make_instance("arrival-model-1", seed=100, settings={"n": "8"})
    >>> instance.name, instance.n
    ('arrival-model-1-seed100-n=8', 8)
    """
    if name not in FAMILIES:
        raise InputError(
            f"family: expected one of {', '.join(FAMILIES)}; found {name!r}"
            f"{suggestion(name, FAMILIES)}"
        )
    family, given = FAMILIES[name], settings or {}
    _SEED.read(seed)
    values = family.read(given)
    try:
        instance = family.make(np.random.default_rng(seed), **values)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return instance.replace(
        name="-".join([f"{name}-seed{seed}", *(f"{key}={values[key]}" for key in given)]),
        provenance={
            "family": name,
            "seed": int(seed),
            "settings": {key: value for key, value in values.items() if value is not None},
            "batchprophet": version("batchprophet"),
        },
    )
