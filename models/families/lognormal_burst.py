"""Many requests at once, with lognormal lengths."""

from __future__ import annotations

import math

import numpy as np

from ..instance import Gpu, Instance
from .family import Family
from .lengths import LogNormal, draw_fitting
from .setting import Setting


def burst(
    rng: np.random.Generator,
    *,
    n: int,
    kv_capacity: int,
    prompt_median: float,
    prompt_sigma: float,
    output_median: float,
    output_sigma: float,
) -> Instance:
    """Return n requests at round 0 with independent lognormal lengths.

    Lengths are rounded and at least 1; requests larger than the GPU are drawn again. The first m
    requests are the same for every n ≥ m.
    """
    prompt = LogNormal(math.log(prompt_median), prompt_sigma)
    output = LogNormal(math.log(output_median), output_sigma)
    s, o = draw_fitting(rng, n, prompt, output, kv_capacity)
    arrival = np.zeros(n, dtype=np.int64)
    return Instance(gpu=Gpu(kv_capacity=kv_capacity), arrival=arrival, prompt=s, output=o)


def _median(name: str, default: float) -> Setting:
    return Setting(
        name=f"{name}_median",
        kind="number",
        description=f"median {name} length in tokens",
        default=default,
        low=1,
        high=10**6,
    )


def _sigma(name: str, default: float) -> Setting:
    return Setting(
        name=f"{name}_sigma",
        kind="number",
        description=f"standard deviation of the logarithm of {name} lengths",
        default=default,
        low=0,
        high=5,
    )


LOGNORMAL_BURST = Family(
    name="lognormal-burst",
    description="all requests at once, lognormal lengths (by default as Azure conversation)",
    source="lengths fitted to the Azure conversation trace of 2023",
    settings=(
        Setting(name="n", kind="integer", description="requests", default=100, low=1),
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens",
            default=16384,
            low=2,
            high=10**9,
        ),
        _median("prompt", 760.0),
        _sigma("prompt", 0.985),
        _median("output", 151.0),
        _sigma("output", 0.859),
    ),
    make=burst,
)
