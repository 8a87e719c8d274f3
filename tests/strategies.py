"""Random instances and schedules for property-based tests."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np

from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule


@st.composite
def instances(draw, max_n: int = 6, max_capacity: int = 16, max_arrival: int = 8):
    """Tiny mixed-batching instances in which every request fits the GPU alone."""
    M = draw(st.integers(2, max_capacity))
    n = draw(st.integers(1, max_n))
    prompt = [draw(st.integers(1, M - 1)) for _ in range(n)]
    output = [draw(st.integers(1, M - s)) for s in prompt]
    arrival = [draw(st.integers(0, max_arrival)) for _ in range(n)]
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=prompt, output=output)


@st.composite
def schedules(draw, instance: Instance, latest: int = 20):
    """Any schedule, feasible or not, with up to three evicted runs."""
    start = [draw(st.integers(-2, latest)) for _ in range(instance.n)]
    evicted = []
    for _ in range(draw(st.integers(0, 3))):
        request = draw(st.integers(0, instance.n - 1))
        begin = draw(st.integers(-2, latest))
        evicted.append(Eviction(request, begin, begin + draw(st.integers(-1, 6))))
    return MixedSchedule(start, evicted)


def random_instance(
    rng: np.random.Generator,
    n: int,
    *,
    capacity: tuple[int, int] = (6, 16),
    last_arrival: int = 8,
    **columns: object,
) -> Instance:
    """One tiny random instance: M uniform in `capacity`, arrivals uniform up to `last_arrival`."""
    M = int(rng.integers(capacity[0], capacity[1], endpoint=True))
    prompt = rng.integers(1, max(2, M // 2), size=n)
    output = rng.integers(1, M - prompt, endpoint=True)
    arrival = rng.integers(0, last_arrival, size=n, endpoint=True)
    gpu = Gpu(kv_capacity=M)
    return Instance(gpu=gpu, arrival=arrival, prompt=prompt, output=output, **columns)
