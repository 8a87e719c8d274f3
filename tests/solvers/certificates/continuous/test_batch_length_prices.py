"""Proofs by batch-length prices: forged ones prove nothing false, malformed ones are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.solvers.certificates.certificate import Certificate, best_certificate
from batchprophet.solvers.certificates.clock import Clock, OutOfTime
from batchprophet.solvers.certificates.continuous.batch_length_prices import BatchLengthPriceProof
from batchprophet.solvers.certificates.verification import verify
from tests.solvers.continuous.bounds.tiny import optimum, tiny


def random_proof(rng, n, longest):
    """Any integers that the format allows, extreme ones among them."""
    K = int(rng.integers(1, 8))
    scale = int(rng.choice([1, 7, 2**10, 2**20]))

    def prices(most):
        size = rng.choice([0, 0.3, 1, most])
        return tuple(int(x) for x in rng.uniform(0, 1, K) * size * scale)

    parts = rng.dirichlet(np.full(n + 4, rng.choice([0.05, 0.3, 2])), K)
    shares = np.floor(parts * scale).astype(int).tolist()
    return BatchLengthPriceProof(
        interval=int(rng.integers(1, longest + 2)),
        tokens=int(rng.integers(1, 4)),
        scale=scale,
        gpu=prices(2 * n),
        kv=prices(n),
        seat=prices(n),
        seat_share=tuple(row[n] for row in shares),
        token_share=tuple(row[n + 1] for row in shares),
        kv_share=tuple(row[n + 2] for row in shares),
        request_share=tuple(
            tuple((i, row[i]) for i in range(n) if row[i] > 0) for row in shares
        ),
    )  # fmt: skip


@pytest.mark.parametrize("part", range(4))
def test_no_forged_proof_gives_more_than_the_optimum(part):
    rng = np.random.default_rng([5, part])
    for seed in range(200 + part, 300, 4):
        instance = tiny(seed)
        best = optimum(instance)
        for _ in range(40):
            proof = random_proof(rng, instance.n, best)
            assert proof.bound(instance, "latency", Clock(None)) <= best


def arriving_within_an_interval(rng):
    """Two requests, the second arriving within the first interval, and its length."""
    c0, c1, c2, c3 = (int(x) / 1000 for x in rng.integers([2, 0, 0, 0], [9, 2, 3, 2]))
    later = int(rng.integers(1, 12))
    instance = Instance(
        gpu=Gpu(kv_capacity=30, batch_time=AffineTime(c0=c0, c1=c1, c2=c2, c3=c3)),
        arrival=[0, later], prompt=rng.integers(1, 3, 2), output=rng.integers(2, 6, 2),
    )  # fmt: skip
    return instance, int(rng.integers(later + 1, 2 * later + 20))


def of_two(interval, prices, shares):
    """A proof with prices (3, K), and shares of two requests, seats, tokens and KV (5, K)."""
    gpu, kv, seat = ((row * 2**20).astype(int).tolist() for row in prices)
    whole = (shares * 2**20).astype(int).tolist()
    return BatchLengthPriceProof(
        interval=interval, tokens=1, scale=2**20, gpu=tuple(gpu), kv=tuple(kv), seat=tuple(seat),
        seat_share=tuple(whole[2]), token_share=tuple(whole[3]), kv_share=tuple(whole[4]),
        request_share=tuple(((0, x), (1, y)) for x, y in zip(*whole[:2], strict=True)),
    )  # fmt: skip


@pytest.mark.parametrize("part", range(3))
def test_no_climbing_passes_the_optimum_where_requests_arrive_within_an_interval(part):
    # If moves were charged for less room than there is after an arrival, climbing would pass it.
    rng = np.random.default_rng([9, part])
    ratios = []
    for _ in range(20):
        instance, interval = arriving_within_an_interval(rng)
        best = optimum(instance)
        K = int(rng.integers(1, 3))
        prices = rng.uniform(0, 1, (3, K)) * np.array([[3], [0.05], [0.1]])
        shares = rng.dirichlet(np.full(6, 0.5), K).T
        bound = 0.0
        for _ in range(120):
            changed = rng.random(prices.shape) < 0.6
            p = prices * np.exp(rng.normal(size=prices.shape) * 0.4 * changed)
            changed = rng.random(shares.shape) < 0.5
            q = shares * np.exp(rng.normal(size=shares.shape) * 0.8 * changed)
            q /= q.sum(axis=0)
            found = float(of_two(interval, p, q[:5]).bound(instance, "latency", Clock(None)))
            assert found <= best
            if found > bound:
                prices, shares, bound = p, q, found
        ratios.append(bound / best)
    assert max(ratios) > 0.9  # close enough to notice


def test_no_forged_proof_gives_more_than_the_least_weighted_completion():
    rng = np.random.default_rng(8)
    above = 0
    for seed in range(300, 360):
        instance = tiny(seed)
        weight = rng.integers(0, 5, instance.n).tolist()
        begin = sum(w * a for w, a in zip(weight, instance.arrival.tolist(), strict=True))
        best = optimum(instance, weight) + begin
        instance = instance.replace(weight=weight)
        for _ in range(30):
            proof = random_proof(rng, instance.n, max(1, best - begin))
            bound = proof.bound(instance, "weighted", Clock(None))
            assert bound <= best
            above += bound > begin
    assert above > 100  # more than what holds if requests take no time


def small():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[8, 8], output=[1, 1])
    proof = BatchLengthPriceProof(
        interval=1, tokens=1, scale=4, gpu=(4, 0), kv=(0, 0), seat=(0, 0), seat_share=(0, 0),
        token_share=(0, 0), kv_share=(4, 4), request_share=((), ()),
    )  # fmt: skip
    return instance, proof


def test_a_certificate_is_written_read_and_verified():
    instance, proof = small()
    certificate = best_certificate(instance, "latency", [(3, proof)])
    again = Certificate.from_record(json.loads(json.dumps(certificate.to_record())))
    assert again == certificate
    assert verify(again, instance).verified
    assert not verify(replace(again, bound=4), instance).verified
    assert not verify(again, instance, time_limit=0.0).verified


def test_time_that_is_up_ends_a_verification():
    instance, proof = small()
    with pytest.raises(OutOfTime):
        proof.bound(instance, "latency", Clock(0.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": 0}, "proof.tokens: expected an integer from 1"),
        ({"gpu": [1.5, 0]}, r"proof.gpu\[0\]: expected an integer"),
        ({"gpu": [-1, 0]}, r"proof.gpu\[0\]: expected an integer"),
        ({"gpu": []}, "proof.gpu: expected 1 to"),
        ({"kv": [0]}, "proof.kv: expected 2 entries, found 1"),
        ({"gpu": [2**60, 0]}, "proof.gpu: expected numbers from 0"),
        ({"kv_share": [5, 0]}, "the shares of interval 0 exceed 1"),
        ({"request_share": [[0, 1], []]}, "the shares of interval 0 exceed 1"),
        ({"request_share": [[1], []]}, r"proof.request_share\[0\]: expected requests with"),
        ({"request_share": [[1, 0, 1, 0], []]}, r"proof.request_share\[0\]: expected shares"),
        ({"colour": 1}, "proof.colour: unknown key"),
    ],
)
def test_malformed_proofs_are_refused_in_one_line(change, message):
    _, proof = small()
    with pytest.raises(InputError, match=message) as caught:
        BatchLengthPriceProof.from_record({**proof.to_record(), **change})
    assert "\n" not in str(caught.value)


def test_a_proof_of_other_requests_is_refused():
    instance, proof = small()
    other = replace(proof, kv_share=(0, 0), request_share=(((7, 1),), ()))
    with pytest.raises(InputError, match="expected requests from 0 to 1, found 7"):
        other.bound(instance, "latency", Clock(None))


def test_a_proof_that_would_take_forever_is_refused():
    instance, proof = small()
    long = instance.replace(
        gpu=Gpu(kv_capacity=2**40), prompt=[8, 8], output=[2**24, 2**24]
    )  # fmt: skip
    with pytest.raises(InputError, match="steps of verification"):
        replace(proof, interval=2**30).bound(long, "latency", Clock(None))


def test_an_interval_that_would_take_all_memory_is_refused():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    names = ("gpu", "kv", "seat", "seat_share", "token_share", "kv_share")
    prices = dict.fromkeys(names, (0,))
    proof = BatchLengthPriceProof(interval=2**36, tokens=1, scale=1, request_share=((),), **prices)
    with pytest.raises(InputError, match=r"^proof\.interval: expected intervals × levels moved"):
        proof.bound(instance, "latency", Clock(None))
