"""Instances are checked once, at construction, and never change."""

import pickle

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.durations import durations
from batchprophet.models.errors import InputError
from batchprophet.models.instance import NO_DEADLINE, Gpu, Instance


def make(**changes):
    columns = {"arrival": [0, 2], "prompt": [3, 1], "output": [4, 2]} | changes
    return Instance(gpu=columns.pop("gpu", Gpu(kv_capacity=9)), **columns)


def test_derived_columns():
    instance = make()
    assert instance.n == 2
    assert instance.peak.tolist() == [7, 3]
    # Request 0 holds 4, 5, 6, 7 tokens in its rounds, request 1 holds 2, 3.
    assert instance.volume.tolist() == [22, 5]


def test_defaults():
    instance = make(reward=[2.0, 3.0])
    assert instance.penalty.tolist() == [2.0, 3.0]  # the penalty is the reward unless given
    assert instance.weight.tolist() == [1.0, 1.0]
    assert instance.request_id(1) == "r1"
    assert instance.deadline is None


def test_arrays_are_copied_and_read_only():
    arrival = np.array([0, 2])
    instance = make(arrival=arrival)
    arrival[0] = 5
    assert instance.arrival[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        instance.arrival[0] = 1


def test_take_keeps_every_column():
    instance = make(
        id=["a", "b"], label=["x", ""], deadline=[9, NO_DEADLINE], weight=[1, 2],
        predicted_low=[4, 0], predicted_high=[5, 0], provenance={"seed": 1},
    )  # fmt: skip
    swapped = instance.take([1, 0])
    assert swapped.id == ("b", "a")
    assert swapped.label == ("", "x")
    assert swapped.deadline.tolist() == [NO_DEADLINE, 9]
    assert swapped.weight.tolist() == [2.0, 1.0]
    assert swapped.take([1, 0]) == instance
    assert swapped != instance


def test_pickles():
    instance = make(provenance={"family": "by hand"})
    assert pickle.loads(pickle.dumps(instance)) == instance


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrival": []}, "requests: expected at least one request, found none"),
        (
            {"arrival": [0, -1]},
            "requests[1].arrival: expected an integer of at least 0, found -1",
        ),
        ({"prompt": [3, 0]}, "requests[1].prompt: expected an integer of at least 1, found 0"),
        ({"output": [4]}, "output: expected shape (2,), found (1,)"),
        (
            {"output": [4.0, 2.0]},
            "requests[0].output: expected an integer from 1 to 2^62, found 4.0",
        ),
        (
            {"output": [True, True]},
            "requests[0].output: expected an integer from 1 to 2^62, found True",
        ),
        (
            {"prompt": [3, 2**64]},
            "requests[1].prompt: expected an integer from 1 to 2^62, found 18446744073709551616",
        ),
        (
            {"prompt": [3, 8]},
            "requests[1]: prompt + output must be at most gpu.kv_capacity = 9, found 8 + 2 = 10: "
            "it can never run",
        ),
        (
            {"gpu": Gpu(kv_capacity=9, prompt_batch_tokens=2)},
            "requests[0].prompt: must be at most gpu.prompt_batch_tokens = 2, found 3: "
            "it fits in no prompt batch",
        ),
        (
            {"reward": [1.0, float("nan")]},
            "requests[1].reward: expected a finite number of at least 0, found nan",
        ),
        ({"weight": ["1", "2"]}, "weight: expected numbers, found values of type <U1"),
        ({"id": ["a", "a"]}, "requests[1].id: ids must be unique, found 'a' again (first in "
         "requests[0])"),
        (
            {"predicted_low": [5, 2], "predicted_high": [4, 2]},
            "requests[0].predicted: expected 1 ≤ low ≤ high, found [5, 4]",
        ),
        ({"predicted_low": [5, 2]}, "predicted: predicted_low and predicted_high go together"),
        ({"horizon": 0}, "horizon: expected an integer from 1 to 2^62, found 0"),
        (
            {"prompt": [3, 10**400]},
            f"requests[1].prompt: expected an integer from 1 to 2^62, found 1{'0' * 59}…",
        ),
        (
            {"name": "a\x1b[31m\n"},
            "name: expected text without line ends and control characters, "
            "found 'a\\x1b[31m\\n'",
        ),
        (
            {"id": ["é 🙂", "b\u2028"]},
            "requests[1].id: expected text without line ends and control characters, "
            "found 'b\\u2028'",
        ),
    ],
)  # fmt: skip
def test_refusals(changes, message):
    with pytest.raises(InputError) as refused:
        make(**changes)
    assert str(refused.value) == message


def test_arithmetic_limit():
    # Two requests at 2^62 would overflow sums of times: refused before any solver sees them.
    with pytest.raises(InputError, match=r"must stay below 2\^62"):
        make(arrival=[0, 2**61])
    with pytest.raises(InputError, match="KV areas"):
        make(gpu=Gpu(kv_capacity=2**40), prompt=[2**39, 1], output=[2**39, 1])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Gpu(kv_capacity=1),
            "gpu.kv_capacity: expected an integer from 2 to 2^62, found 1",
        ),
        (
            lambda: Gpu(kv_capacity=9, token_batch_requests=0),
            "gpu.token_batch_requests: expected an integer from 1 to 2^62, found 0",
        ),
        (
            lambda: ConstantTime(prompt=0, token=1),
            "gpu.batch_time.prompt: expected an integer from 1 to 10^12, found 0",
        ),
        (
            lambda: AffineTime(c0=0.0, c1=1, c2=1, c3=1),
            "gpu.batch_time.c0: expected more than half a picosecond, 5e-10 ms (a batch takes "
            "time, and whole picoseconds count), found 0",
        ),
        (
            lambda: AffineTime(c0=5e-10, c1=1, c2=1, c3=1),  # rounds to no time at all
            "gpu.batch_time.c0: expected more than half a picosecond, 5e-10 ms (a batch takes "
            "time, and whole picoseconds count), found 5e-10",
        ),
        (
            lambda: AffineTime(c0=1.0, c1=float("inf"), c2=1, c3=1),
            "gpu.batch_time.c1: expected a number of milliseconds from 0 to 10^9, found inf",
        ),
    ],
)  # fmt: skip
def test_gpu_refusals(build, message):
    with pytest.raises(InputError) as refused:
        build()
    assert str(refused.value) == message


def test_the_shortest_batch_takes_a_picosecond():
    assert durations(AffineTime(c0=5.1e-10, c1=0, c2=0, c3=0)).prompt == 1


@pytest.mark.parametrize("name", ["reward", "weight", "penalty"])
def test_sums_that_leave_floating_point_are_refused(name):
    # 1e308 + 1e308 is no float; 1e308 times a time is none either.
    for values in ([1e308, 1e308], [1e308, 0]):
        with pytest.raises(InputError) as refused:
            Instance(
                gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2],
                **{name: values},
            )  # fmt: skip
        assert str(refused.value) == (
            f"{name}: expected numbers whose sum is at most 10^280, so that their products with "
            f"times are finite, found {sum(values):g}"
        )


def test_batch_limits_are_named():
    gpu = Gpu(kv_capacity=9, prompt_batch_requests=4, token_batch_requests=8)
    assert gpu.batch_limits == ("prompt_batch_requests", "token_batch_requests")
