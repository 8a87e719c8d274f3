"""One long request among others alike: its optimum, a schedule, the verifier's own routine."""

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
from batchprophet.solvers.certificates.mixed.one_long_request import optimum
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed.bounds.one_long_request import one_long_request
from tests.brute_force import brute_force


def latency(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def random_long(seed):
    rng = np.random.default_rng([41, seed])
    n, M = int(rng.integers(2, 6)), int(rng.integers(4, 12))
    prompt = np.full(n, int(rng.integers(1, max(2, M // 2))))
    output, long = np.ones(n, np.int64), int(rng.integers(n))
    prompt[long] = rng.integers(1, M - 1)
    output[long] = rng.integers(1, M - prompt[long] + 1)
    arrival = rng.integers(0, 6, n)
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=prompt, output=output)


def test_it_is_the_optimum_of_tiny_instances():
    found = 0
    for seed in range(150):
        instance = random_long(seed)
        best, _ = brute_force(instance)
        here = one_long_request(instance)
        if here is None:  # the long one has one token and another prompt: two kinds of others
            with pytest.raises(InputError, match="one request among others of equal prompts"):
                optimum(instance, Clock(None))
            continue
        found += 1
        assert check(instance, here.schedule) == []
        assert here.latency == latency(instance, here.schedule) == best, seed
        assert optimum(instance, Clock(None)) == best, seed
    assert found > 100


@pytest.mark.parametrize(("M", "value"), [(64, 142), (1024, 2290), (16384, 36802)])
def test_the_adversary_of_order_square_root_is_solved(M, value):
    instance = make_instance("sqrt-adversary", settings={"kv_capacity": M})
    solution = solve(instance, time_limit=5)
    assert (solution.status, solution.objective) == ("optimal", value)
    assert verify(solution.certificate, instance, value=value).verified


def test_other_instances_are_not_of_this_kind():
    for prompt, output in (([1, 1, 2], [3, 1, 1]), ([1, 1, 1], [3, 2, 1])):
        instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0] * 3, prompt=prompt, output=output)
        assert one_long_request(instance) is None
        with pytest.raises(InputError, match="one request among others of equal prompts"):
            CombinatorialBound(name="one long request").bound(instance, "latency", Clock(None))


def test_starts_far_apart_are_too_many():
    gpu = Gpu(kv_capacity=9)
    instance = Instance(gpu=gpu, arrival=[0, 10**9], prompt=[1, 1], output=[3, 1])
    assert one_long_request(instance) is None
    with pytest.raises(InputError, match="at most 1048576 starts of the long request"):
        optimum(instance, Clock(None))
