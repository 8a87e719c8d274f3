"""Pairs of prompt and output moved among the arrivals of a trace."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.traces import convert_trace
from batchprophet.models.traces.pairs import rearranged


def some(n=300):
    rng = np.random.default_rng(1)
    prompt = rng.integers(1, 50, n)
    return Instance(
        gpu=Gpu(kv_capacity=200), arrival=np.sort(rng.integers(0, 999, n)), prompt=prompt,
        output=101 - prompt + rng.integers(0, 9, n), id=[f"r{i}" for i in range(n)],
        label=[f"p{s}" for s in prompt.tolist()],
    )  # fmt: skip


def pairs(instance, part=slice(None)):
    return list(zip(instance.prompt[part].tolist(), instance.output[part].tolist(), strict=True))


@pytest.mark.parametrize("size", [1, 7, 100, 300, 1000])
def test_shuffled_pairs_stay_in_their_windows(size):
    instance = some()
    other = rearranged(instance, f"shuffle:{size}", seed=3)
    for first in range(0, instance.n, size):
        window = slice(first, first + size)
        assert Counter(pairs(other, window)) == Counter(pairs(instance, window))
    assert (other.arrival == instance.arrival).all()
    assert other.id == instance.id
    assert other.label == tuple(f"p{s}" for s in other.prompt.tolist())
    assert (size == 1) == (pairs(other) == pairs(instance))


@pytest.mark.parametrize("size", [7, 100, 300])
def test_resampled_pairs_come_from_their_windows(size):
    instance = some()
    other = rearranged(instance, f"resample:{size}", seed=3)
    for first in range(0, instance.n, size):
        window = slice(first, first + size)
        assert set(pairs(other, window)) <= set(pairs(instance, window))
    assert Counter(pairs(other)) != Counter(pairs(instance))
    # Each pair is as likely: over many seeds the mean prompt is that of the trace.
    means = [rearranged(instance, "resample", seed=k).prompt.mean() for k in range(200)]
    spread = instance.prompt.std() / np.sqrt(instance.n)
    assert abs(np.mean(means) - instance.prompt.mean()) < 4 * spread / np.sqrt(200)
    assert np.std(means) == pytest.approx(spread, rel=0.25)


def test_a_seed_is_a_seed():
    instance = some()
    first = rearranged(instance, "resample:50", seed=1)
    assert first == rearranged(instance, "resample:50", seed=1)
    assert first != rearranged(instance, "resample:50", seed=2)


@pytest.mark.parametrize("how", ["", "mix", "shuffle:", "shuffle:0", "resample:-3", "resample:x"])
def test_other_words_are_refused(how):
    with pytest.raises(InputError, match="pairs: expected shuffle, resample, shuffle:K or"):
        rearranged(some(), how, seed=0)


def test_traces_are_converted_so(tmp_path):
    path = tmp_path / "lengths.csv"
    path.write_text("at,in,out\n" + "".join(f"{i},{i + 1},{2 * i + 1}\n" for i in range(40)))
    options = {"columns": "arrival=at,prompt=in,output=out", "round_ms": 1000, "kv_capacity": 500}
    plain = convert_trace(path, **options).instance
    other = convert_trace(path, **options, pairs="shuffle:10", seed=5).instance
    assert other == rearranged(plain, "shuffle:10", seed=5).replace(
        name=other.name, provenance=other.provenance
    )
    assert other.provenance["pairs"] == "shuffle:10"
    assert other.provenance["seed"] == 5
    assert other.name == "lengths-pairs=shuffle:10"
    assert "pairs" not in plain.provenance
