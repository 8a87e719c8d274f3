"""The two synthetic arrival models of arXiv 2502.07115."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..instance import Gpu, Instance, IntArray
from .family import Family
from .setting import Setting

SOURCE = "Jaillet et al., arXiv 2502.07115, experiments on synthetic data"
MOST_PROMPT = 5

_KV_CAPACITY = Setting(
    name="kv_capacity",
    kind="integer",
    description="M in tokens; drawn from U{30..50} unless set",
    low=MOST_PROMPT + 1,
    high=10**9,
)


def all_at_zero(
    rng: np.random.Generator, *, n: int | None = None, kv_capacity: int | None = None
) -> Instance:
    """Arrival model 1: n ~ U{40..60} requests, all at round 0.

    M ~ U{30..50}; each request has s ~ U{1..5} and o ~ U{1..M − s}. Each of the four has a random
    stream of its own: with n set, the instance is a prefix of (or continues) the one drawn
    without; with M set, it follows the law given M.

    Examples
    --------
    >>> instance = all_at_zero(np.random.default_rng(100), n=8)
    >>> instance.n, int(instance.arrival.max())
    (8, 0)
    """
    capacity, lengths, count = rng.spawn(3)
    if n is None:
        n = int(count.integers(40, 61))
    return _instance(capacity, lengths, np.zeros(n, dtype=np.int64), kv_capacity)


def poisson_rounds(
    rng: np.random.Generator,
    *,
    n: int | None = None,
    kv_capacity: int | None = None,
    rounds: int | None = None,
    rate: float | None = None,
) -> Instance:
    """Arrival model 2: in each round 0 … T − 1, a Poisson number of requests arrives.

    T ~ U{40..60}, requests per round λ ~ U[0.5, 1.5]; M and lengths as in arrival model 1. A draw
    without any request is drawn again. With n set, the instance is the first n requests of the one
    drawn without; with T, λ or M set, it follows the law given them.

    Raises
    ------
    InputError
        If n is more than the requests drawn.
    """
    capacity, lengths, horizons, rates, counts = rng.spawn(5)
    arrival = np.zeros(0, dtype=np.int64)
    while arrival.size == 0:
        T = int(horizons.integers(40, 61)) if rounds is None else rounds
        per_round = rates.uniform(0.5, 1.5) if rate is None else rate
        arrival = np.repeat(np.arange(T), counts.poisson(per_round, size=T))
    if n is not None and n > arrival.size:
        raise InputError(
            f"n: expected at most the {arrival.size} requests that this seed draws, found {n}; "
            "take another seed, more rounds or a higher rate"
        )
    return _instance(capacity, lengths, arrival[:n], kv_capacity)


def _instance(
    capacity: np.random.Generator,
    lengths: np.random.Generator,
    arrival: IntArray,
    kv_capacity: int | None,
) -> Instance:
    M = int(capacity.integers(30, 51)) if kv_capacity is None else kv_capacity
    prompts, outputs = lengths.spawn(2)
    prompt = prompts.integers(1, MOST_PROMPT + 1, size=arrival.size)
    output = outputs.integers(1, M - prompt + 1)
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=prompt, output=output)


ARRIVAL_MODEL_1 = Family(
    name="arrival-model-1",
    description="40-60 requests at once, short prompts, outputs up to the whole KV cache",
    source=SOURCE,
    settings=(
        Setting(
            name="n",
            kind="integer",
            description="requests; drawn from U{40..60} unless set",
            low=1,
        ),
        _KV_CAPACITY,
    ),
    make=all_at_zero,
)

ARRIVAL_MODEL_2 = Family(
    name="arrival-model-2",
    description="Poisson arrivals over 40-60 rounds, lengths as in arrival-model-1",
    source=SOURCE,
    settings=(
        Setting(
            name="n",
            kind="integer",
            description="only the first n requests; all that arrive unless set",
            low=1,
        ),
        _KV_CAPACITY,
        Setting(
            name="rounds",
            kind="integer",
            description="T, rounds with arrivals; drawn from U{40..60} unless set",
            low=1,
            high=10**7,
        ),
        Setting(
            name="rate",
            kind="number",
            description="mean requests per round; drawn from U[0.5, 1.5] unless set",
            low=0.01,
            high=1000,
        ),
    ),
    make=poisson_rounds,
)
