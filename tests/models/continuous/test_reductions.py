"""Under the unit law continuous batching is mixed batching, and pausing is worth nothing there."""

from __future__ import annotations

from batchprophet.models.instance import Gpu
from tests.brute_force import brute_force
from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_instances import tiny_instance


def unit_pairs(count):
    """Mixed instances and the same with prompts one token longer, whole prompts only."""
    for seed in range(count):
        mixed = tiny_instance(seed, most_requests=3)
        M = mixed.gpu.kv_capacity + 1  # so that the longer prompts fit; the same for both
        mixed = mixed.replace(gpu=Gpu(kv_capacity=M))
        gpu = Gpu(kv_capacity=M, chunked_prefill=False)
        yield mixed, mixed.replace(gpu=gpu, prompt=mixed.prompt + 1)


def test_without_pauses_and_drops_it_is_mixed_batching():
    bound = 0
    for mixed, continuous in unit_pairs(100):
        optimum, start = brute_force(mixed)
        found, _ = brute_force_continuous(continuous, skipping=False, drops=False)
        assert found == optimum
        bound += any(start[i] > mixed.arrival[i] for i in range(mixed.n))
    assert bound > 20  # memory makes requests wait in these


def test_pausing_is_worth_nothing_under_the_unit_law():
    # A paused request may as well begin later and run without a pause: at each time it has made no
    # more progress, so that its cache is no larger, and it ends at the same time. Dropping a cache
    # is another matter.
    for _, continuous in unit_pairs(100):
        without, _ = brute_force_continuous(continuous, skipping=False, drops=False)
        assert brute_force_continuous(continuous, drops=False)[0] == without
