"""Certificates: every one verifies, none proves more than the optimum, and no tampering passes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.objectives import MAXIMISED
from batchprophet.solvers.certificates.certificate import Certificate, best_certificate
from batchprophet.solvers.certificates.clock import Clock, Contradicted
from batchprophet.solvers.certificates.file import (
    encode_certificate,
    read_certificate,
    write_certificate,
)
from batchprophet.solvers.certificates.mixed import layer_search
from batchprophet.solvers.certificates.mixed.certified_configurations import (
    PricedTypes,
    certified_value,
)
from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
from batchprophet.solvers.certificates.mixed.compact import compact
from batchprophet.solvers.certificates.mixed.configuration_prices import ConfigurationPriceProof
from batchprophet.solvers.certificates.mixed.exhaustive_search import ExhaustiveSearch
from batchprophet.solvers.certificates.mixed.knapsack_prices import KnapsackPriceProof
from batchprophet.solvers.certificates.mixed.memory_prices import MemoryPriceProof
from batchprophet.solvers.certificates.mixed.price_blocks import MemoryPrices
from batchprophet.solvers.certificates.mixed.price_table import PriceTable
from batchprophet.solvers.certificates.mixed.round_prices import RoundPriceProof
from batchprophet.solvers.certificates.registry import PROOF_KINDS
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed.bounds.combinatorial import all_bounds
from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
from batchprophet.solvers.mixed.bounds.memory_prices import memory_price_bound
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.proofs.price_tables import price_table
from tests.brute_force import brute_force
from tests.strategies import random_instance
from tests.tiny_instances import OBJECTIVES, tiny_instance

#: All kinds, as messages list them.
KINDS = ", ".join(PROOF_KINDS)

#: M = 9, (0, 3, 4) and (2, 1, 2): both at once hold 10 tokens in round 4, so one waits: 7.
SMALL = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2], name="small")

#: Prices that prove it: (7, 0) pays 1 in round 4, (3, 0) pays 1/3 (three of them would fit).
#: Costs 5 and 7/3, at most 1 is deducted: 19/3, rounded up 7.
TABLE = PriceTable(scale=3, types=((7, 0), (3, 0)), price=[[0, 0], [0, 0], [0, 0], [0, 0], [3, 1]])


def certify(bound, proof, instance=SMALL, objective="latency"):
    return best_certificate(instance, objective, [(bound, proof)])


def document(**changes):
    return certify(7, ConfigurationPriceProof(table=TABLE)).to_record() | changes


def proof_record(**changes):
    return document(proof=document()["proof"] | changes)


def bound_of(proof, instance=SMALL, objective="latency"):
    return proof.bound(instance, objective, Clock(None))


def latency_below(value, table, instance=SMALL):
    """Latency of the schedule that an exhaustive search finds below a value; None for none.

    The claim that there is none must be refused with just that schedule, and hold otherwise.
    """
    found = layer_search.better_than(value, instance, table, Clock(None))
    claim = ExhaustiveSearch(value=value, table=table)
    if found is None:
        assert bound_of(claim, instance) == value
    else:
        with pytest.raises(Contradicted, match=f"of total latency {found}, below the value"):
            bound_of(claim, instance)
        certificate = certify(value, claim, instance)
        for bound in (value, found, 1):  # nothing is proved, be the claim as modest as it likes
            assert not verify(replace(certificate, bound=bound), instance).verified
    return found


# ---------------------------------------------------------------- theorems


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_combinatorial_bounds_are_recomputed_by_other_code(objective):
    for seed in range(150):
        instance = tiny_instance(seed)
        best, _ = brute_force(instance, objective)
        for name, value in all_bounds(instance, objective):
            proof = CombinatorialBound(name=name)
            proved = bound_of(proof, instance, objective)
            certificate = certify(value, proof, instance, objective)
            assert verify(certificate, instance, value=best).verified, (seed, name)
            assert proved >= best if objective in MAXIMISED else proved <= best, (seed, name)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_combinatorial_bound_proves_more_than_it_claims(objective):
    # One step beyond the rounded bound is refused: the routines agree to the last unit.
    for seed in range(60):
        instance = tiny_instance(seed, most_requests=6)
        for name, value in all_bounds(instance, objective):
            certificate = certify(value, CombinatorialBound(name=name), instance, objective)
            step = Fraction(1, 2)  # weights and rewards are multiples of it
            beyond = certificate.bound + (-step if objective in MAXIMISED else 1)
            verification = verify(replace(certificate, bound=beyond), instance)
            assert not verification.verified, (seed, name, beyond)


def test_every_solution_has_a_certificate_of_its_bound():
    rng = np.random.default_rng(1)
    kinds = set()
    for trial in range(200):
        n = int(rng.integers(1, 7))
        instance = random_instance(rng, n, capacity=(4, 14), last_arrival=int(rng.integers(0, 9)))
        best, _ = brute_force(instance)
        solution = solve(instance, work_limit=int(rng.choice([10, 40, 40_000])), seed=trial)
        certificate = solution.certificate
        verification = verify(certificate, instance, value=best)
        assert verification.verified, (trial, verification.reason)
        assert certificate.bound == solution.bound <= best
        assert verification.proved <= best
        assert Certificate.from_record(json.loads(encode_certificate(certificate))) == certificate
        kinds.add(certificate.proof.kind)
    assert kinds == {
        "combinatorial", "configuration-prices", "exhaustive-search", "blocks", "equal-requests",
        "class-prices",
    }  # fmt: skip


def test_the_threads_hand_over_their_proofs():
    rng = np.random.default_rng(2)
    for _ in range(10):
        instance = random_instance(rng, 6, capacity=(8, 14), last_arrival=4)
        solution = solve(instance, time_limit=30)
        assert solution.status == "optimal"
        assert solution.certificate.bound == solution.objective
        assert verify(solution.certificate, instance, value=solution.objective).verified


def test_memory_prices():
    rng = np.random.default_rng(3)
    for _ in range(60):
        instance = random_instance(rng, int(rng.integers(1, 6)), capacity=(4, 12))
        best, _ = brute_force(instance)
        found = memory_price_bound(instance, steps=20)
        certificate = certify(found.value, MemoryPriceProof(prices=found.prices), instance)
        assert verify(certificate, instance, value=best).verified
        assert bound_of(certificate.proof, instance) == found.value
        too_high = replace(certificate, bound=certificate.bound + 1)
        assert not verify(too_high, instance).verified


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_any_round_prices_prove_a_bound(objective):
    rng = np.random.default_rng(11)
    for seed in range(100):
        instance = tiny_instance(seed)
        best, _ = brute_force(instance, objective)
        for _ in range(5):
            shares = rng.multinomial(int(rng.integers(0, 17)), [1 / instance.n] * instance.n)
            proof = RoundPriceProof(
                scale=16,
                first=int(rng.integers(1, 6)),
                prices=tuple(rng.integers(0, 6, int(rng.integers(0, 12))).tolist()),
                shares=tuple(shares.tolist()) if objective == "makespan" else (),
            )
            proved = bound_of(proof, instance, objective)
            assert proved >= best if objective in MAXIMISED else proved <= best, (seed, proof)


@pytest.mark.parametrize("formulation", ["dense", "running-sum"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_linear_relaxation_is_certified_by_its_duals(objective, formulation):
    found = 0
    for seed in range(40):
        instance = tiny_instance(seed)
        solution = solve(instance, objective=objective, formulation=formulation)
        best, _ = brute_force(instance, objective)
        assert solution.objective == best
        certificate = solution.certificate
        assert verify(certificate, instance, value=best).verified
        bounds = dict(solution.bounds)
        if "LP relaxation" in bounds:
            found += 1
            loss = abs(Fraction(bounds["LP relaxation"]) - bounds["memory prices of the LP"])
            # For the makespan the LP uses its horizon, too, which the certificate does not.
            assert loss < Fraction(1, 10_000) or objective == "makespan", seed
    assert found >= 3  # the others are proved before


def test_shares_exceed_no_whole():
    for objective, shares in (("makespan", (2, 7)), ("makespan", (8,)), ("latency", (4, 4))):
        proof = RoundPriceProof(scale=8, first=4, prices=(1,), shares=shares)
        with pytest.raises(InputError, match=r"proof\.shares: expected 2 of sum at most 8"):
            bound_of(proof, objective=objective)


@pytest.mark.parametrize(
    ("family", "settings", "kind"),
    [
        ("lognormal-burst", {"n": 300}, "memory-prices"),
        ("azure-code", {"n": 60, "kv_capacity": 10_000}, "knapsack-prices"),
    ],
)
def test_large_instances_are_certified_by_prices(family, settings, kind):
    # Requests that are small against M gain nothing by being held whole.
    instance = make_instance(family, seed=2, settings=settings)
    solution = solve(instance, work_limit=20_000)
    assert solution.certificate.proof.kind == kind
    assert solution.certificate.bound == solution.bound
    assert verify(solution.certificate, instance, value=solution.objective).verified


@pytest.mark.parametrize("seed", range(4))
def test_any_prices_prove_a_bound(seed):
    # Prices by chance, on types that nobody takes as well.
    rng = np.random.default_rng(seed)
    for _ in range(60):
        instance = random_instance(rng, int(rng.integers(1, 6)), capacity=(4, 12))
        best, _ = brute_force(instance)
        M = instance.gpu.kv_capacity
        every = [(w, r) for w in range(1, M + 1) for r in range(M - w + 1)]
        types = tuple(every[q] for q in rng.permutation(len(every))[: rng.integers(1, 30)])
        price = rng.integers(0, 4, (int(rng.integers(1, 15)), len(types)))
        price *= rng.random(price.shape) < 0.3
        price[0] = 0
        table = PriceTable(scale=4, types=types, price=price)
        assert bound_of(ConfigurationPriceProof(table=table), instance) <= best
        for value in range(best - 1, best + 3):
            found = latency_below(value, table, instance)
            assert found is None if value <= best else best <= found < value


def test_prices_of_the_search_are_recomputed_exactly():
    rng = np.random.default_rng(5)
    for _ in range(60):
        instance = random_instance(rng, int(rng.integers(1, 8)), capacity=(5, 14))
        schedule = list_schedule(instance, instance.volume)
        prices = configuration_prices(instance, schedule, work_limit=int(rng.integers(1, 300)))
        table = price_table(instance, prices)
        proved = bound_of(ConfigurationPriceProof(table=table), instance)
        assert prices.bound == proved <= brute_force(instance)[0]


# ---------------------------------------------------------------- the independent routines


def is_configuration(members, M):
    return all(sum(w + r for w, rr in members if rr >= r) <= M for _, r in members)


def test_the_heaviest_configuration_by_its_definition():
    rng = np.random.default_rng(6)
    for _ in range(60):
        instance = random_instance(rng, 3, capacity=(4, 8))
        M = instance.gpu.kv_capacity
        pairs = {
            (s + j, o - j)
            for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
            for j in range(1, o + 1)
        }
        types = sorted(pairs)
        weight = dict(zip(types, rng.integers(0, 5, len(types)).tolist(), strict=True))
        price = np.array([[0] * len(types), list(weight.values())])
        priced = PricedTypes(instance, scale=1, types=types, price=price)
        by_hand = max(
            sum(weight[member] for member in members)
            for size in range(M // 2 + 1)
            for members in combinations_with_replacement(types, size)
            if is_configuration(members, M)
        )
        assert priced.heaviest(1, Clock(None)) == by_hand


def test_compiled_and_unlimited_integers_agree():
    rng = np.random.default_rng(7)
    compared = 0
    for _ in range(40):
        instance = random_instance(rng, 8, capacity=(5, 12), last_arrival=1)
        schedule = list_schedule(instance, instance.volume)
        table = price_table(instance, configuration_prices(instance, schedule, work_limit=40))
        by_64_bits = certified_value(
            instance, scale=table.scale, types=table.types, price=table.price
        )
        # The same prices times 2^38 in units 2^38 times smaller: sums beyond 64 bits.
        larger = {"scale": table.scale * 2**38, "price": table.price * 2**38}
        assert certified_value(instance, types=table.types, **larger) == by_64_bits
        compared += not PricedTypes(instance, types=table.types, **larger).exact_in_64_bits
    assert compared > 20


def test_plain_python_agrees_with_compiled_code(tmp_path):
    # The same verdicts without numba: the loops mean what they say in unlimited integers too.
    rng = np.random.default_rng(8)
    expected = []
    for number in range(12):
        instance = random_instance(rng, 5, capacity=(6, 12))
        certificate = solve(instance, work_limit=4000 if number % 2 else 20).certificate
        bp.write_instance(instance, tmp_path / f"instance{number}.json")
        write_certificate(certificate, tmp_path / f"certificate{number}.json")
        expected.append(str(verify(certificate, instance).proved))
    code = (
        "import sys\n"
        "import batchprophet as bp\n"
        "from batchprophet.solvers.certificates.verification import verify\n"
        "for number in range(12):\n"
        "    instance = bp.read_instance(f'instance{number}.json')\n"
        "    certificate = bp.read_certificate(f'certificate{number}.json')\n"
        "    print(verify(certificate, instance).proved)\n"
    )
    plain = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.split() == expected


def test_a_state_may_lead_to_more_states_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(layer_search, "ROOM", 2)
    rng = np.random.default_rng(9)
    for _ in range(10):
        instance = random_instance(rng, 5, capacity=(8, 14), last_arrival=1)
        best, _ = brute_force(instance)
        table = PriceTable(scale=1, types=(), price=np.zeros((1, 0)))
        assert latency_below(best, table, instance) is None
        assert latency_below(best + 1, table, instance) == best


# ---------------------------------------------------------------- false friends


NO_PRICES = PriceTable(scale=1, types=(), price=np.zeros((1, 0)))


def test_smaller_requests_may_have_to_start_later():
    # Starting what has smaller s and o first costs 29 here; the optimum is 26. Only requests of
    # equal s and o may be ordered.
    instance = Instance(
        gpu=Gpu(kv_capacity=9), arrival=[0] * 5, prompt=[5, 4, 2, 3, 5], output=[4, 1, 3, 6, 1]
    )
    assert brute_force(instance)[0] == 26
    assert latency_below(26, NO_PRICES, instance) is None
    assert 26 <= latency_below(29, NO_PRICES, instance) < 29
    assert latency_below(27, NO_PRICES, instance) == 26


def test_list_schedules_may_all_miss_the_optimum():
    # Every list schedule costs 45 or more; delaying a start shrinks its wedge elsewhere: 44.
    instance = Instance(
        gpu=Gpu(kv_capacity=12),
        arrival=[0] * 6,
        prompt=[1, 1, 1, 1, 2, 1],
        output=[3, 1, 10, 4, 8, 4],
    )
    assert latency_below(45, NO_PRICES, instance) == 44
    assert latency_below(44, NO_PRICES, instance) is None


def test_configurations_may_take_a_type_again_and_again():
    # Requests A (1, 1) and B (1, 2), M = 4: A is of type (2, 0), B of (2, 1) and (3, 0). If a
    # configuration could hold each request only once, a price 1 of (2, 0) would be deducted once;
    # but its monotone closure (larger w or r, same price) would then be violated: A and B at once
    # are 2 + 2 and 2 + 3 … tokens. So σ counts multisets, and both get 2.
    instance = Instance(gpu=Gpu(kv_capacity=4), arrival=[0, 0], prompt=[1, 1], output=[1, 2])
    types = [(2, 1), (2, 0), (3, 0)]
    once = [{(2, 0)}, {(2, 1)}, {(3, 0)}, {(2, 0), (2, 1)}]  # A and B once each
    assert all(is_configuration(list(members), 4) for members in once)
    price = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 1]])  # row 1: π; row 2: its closure
    heaviest_once = [
        max(sum(int(price[t][types.index(member)]) for member in members) for members in once)
        for t in (1, 2)
    ]
    assert heaviest_once == [1, 2]  # the closure is violated where π is not
    priced = PricedTypes(instance, scale=1, types=types, price=price)
    assert [priced.heaviest(t, Clock(None)) for t in (1, 2)] == [2, 2]


def test_the_closure_of_prices_stays_valid():
    # max{π(w', r'): w' ≤ w, r' ≤ r} has the same heaviest configuration: shrinking keeps a
    # multiset feasible.
    rng = np.random.default_rng(10)
    for _ in range(40):
        instance = random_instance(rng, 4, capacity=(5, 12))
        pairs = {
            (s + j, o - j)
            for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
            for j in range(1, o + 1)
        }
        types = sorted(pairs)
        row = rng.integers(0, 9, len(types))
        closed = [
            max(int(row[q]) for q, (w, r) in enumerate(types) if w <= size and r <= to_go)
            for size, to_go in types
        ]
        price = np.array([np.zeros_like(row), row, closed])
        priced = PricedTypes(instance, scale=1, types=types, price=price)
        assert priced.heaviest(1, Clock(None)) == priced.heaviest(2, Clock(None))


def test_no_round_may_be_left_out_of_the_deduction():
    # A price beyond all arrivals is avoided by starting early, but its slack is deducted.
    table = PriceTable(scale=1, types=((7, 0),), price=[[0]] * 40 + [[1]])
    assert bound_of(ConfigurationPriceProof(table=table)) == 6 - 1


# ---------------------------------------------------------------- tampering


def test_the_small_certificate_verifies():
    certificate = Certificate.from_record(document())
    verification = verify(certificate, SMALL, value=7)
    assert verification.verified
    assert verification.proved == Fraction(19, 3)
    assert verification.reason == "the proof gives 7"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (document(bound=8), "the proof gives 7 at most, not the bound 8 that is claimed"),
        # 5 + 3 and 7/3 are paid at most, 2 deducted: cheaper to wait one round.
        (proof_record(rounds=[{"first": 4, "last": 4, "prices": [[0, 6, 1]]}]),
         "the proof gives 6 at most, not the bound 7 that is claimed"),
        (proof_record(rounds=[{"first": 4, "last": 4, "prices": [[0, 3]]}]),
         "the proof gives 6 at most, not the bound 7 that is claimed"),
        (proof_record(rounds=[{"first": 5, "last": 5, "prices": [[0, 3, 1]]}]),
         "the proof gives 5 at most, not the bound 7 that is claimed"),
        (proof_record(rounds=[{"first": 3, "last": 4, "prices": [[0, 3, 1]]}]),
         "the proof gives 6 at most, not the bound 7 that is claimed"),
        (proof_record(rounds=[]), "the proof gives 6 at most, not the bound 7 that is claimed"),
        (proof_record(scale=1), "the proof gives 5 at most, not the bound 7 that is claimed"),
        (proof_record(types=[[3, 0], [7, 0]]),
         "the proof gives 5 at most, not the bound 7 that is claimed"),
        (proof_record(types=[[7, 1], [3, 0]]),
         "the proof gives 6 at most, not the bound 7 that is claimed"),
        (proof_record(rounds=[{"first": 4, "last": 4, "prices": [[0, 2**62 - 1, 2**62 - 1]]}]),
         None),
        (document(proof={"kind": "combinatorial", "name": "starts at arrival"}),
         "the proof gives 6 at most, not the bound 7 that is claimed"),
        (document(proof={"kind": "memory-prices", "scale": 8, "boundaries": [3, 4], "prices": [0]}),
         "the proof gives 6 at most, not the bound 7 that is claimed"),
        (document(bound=8, proof=document()["proof"] | {"kind": "exhaustive-search", "value": 8}),
         "nothing is proved: there is a schedule of total latency 7, below the value 8 of the "
         "proof"),
        (document(bound=8, proof=document()["proof"] | {"kind": "exhaustive-search", "value": 7}),
         "the proof gives 7 at most, not the bound 8 that is claimed"),
        (document(bound=2**61,
                  proof=document()["proof"] | {"kind": "exhaustive-search", "value": 2**61}),
         "nothing is proved: there is a schedule of total latency 8, below the value "
         f"{2**61} of the proof"),
    ],
)  # fmt: skip
def test_a_bound_that_is_not_proved_is_refused(changed, reason):
    verification = verify(Certificate.from_record(changed), SMALL)
    assert not verification.verified
    assert reason is None or verification.reason == reason


WHOLE = "expected an integer from 0 to 2^62, found"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (document(format="batchprophet-solution"),
         "format: expected 'batchprophet-certificate', found 'batchprophet-solution'"),
        (document(version=2), "version: expected 1, found 2"),
        (document(version=True), "version: expected 1, found True"),
        (document(version=1.0), "version: expected 1, found 1.0"),
        (document(colour="red"), "colour: unknown key"),
        (document(instance=3), "instance: expected a string, found 3"),
        (document(digest="abc"), "digest: expected 64 hexadecimal digits, found 'abc'"),
        (document(digest=7), "digest: expected a string, found 7"),
        (document(model="separate"), "model: expected 'mixed', found 'separate'"),
        (document(objective_name="speed"),
         "objective_name: expected one of latency, weighted, tardiness, makespan, reward; found "
         "'speed'"),
        (document(objective_name="makespan"),
         "proof.kind: configuration-prices proves bounds on latency, weighted, tardiness, reward, "
         "not on makespan"),
        (document(bound=7.0), "bound: expected an integer or a fraction, found 7.0"),
        (document(bound=True), "bound: expected an integer or a fraction, found True"),
        (document(bound=-1), "bound: expected an integer from 0 to 10^1000, found -1"),
        (document(bound=10**1000),
         f"bound: expected an integer from 0 to 10^1000, found {str(10**1000)[:40]}…"),
        (document(bound=None), "bound: expected an integer or a fraction, found None"),
        (document(bound="14/2"),
         "bound: expected an integer or a fraction in lowest terms, found '14/2'"),
        (document(bound="7"),
         "bound: expected an integer or a fraction in lowest terms, found '7'"),
        (document(bound="-7/2"),
         "bound: expected an integer or a fraction in lowest terms, found '-7/2'"),
        (document(proof=[]), "proof: expected an object, found []"),
        (document(proof={}), f"proof.kind: expected one of {KINDS}; found None"),
        (document(proof={"kind": "trust-me"}),
         f"proof.kind: expected one of {KINDS}; found 'trust-me'"),
        (document(proof={"kind": ["combinatorial"]}),
         f"proof.kind: expected one of {KINDS}; found ['combinatorial']"),
        (document(proof={"kind": "combinatorial"}), "proof.name: missing"),
        (document(proof={"kind": "combinatorial", "name": 5}),
         "proof.name: expected a string, found 5"),
        (document(proof={"kind": "combinatorial", "name": "intuition"}),
         "proof.name: expected one of starts at arrival; KV area, shortest remaining first; KV "
         "area, mean busy time; running requests, shortest remaining first; running requests, mean "
         "busy time; token budget, shortest remaining first; token budget, mean busy time; one "
         "long request; KV area from each arrival on; running requests from each arrival on; token "
         "budget from each arrival on; KV area, fractional knapsack; running requests, fractional "
         "knapsack; token budget, fractional knapsack, found 'intuition'"),
        (document(proof={"kind": "memory-prices", "scale": 3, "boundaries": [0, 1], "prices": [1]}),
         "proof.scale: expected a power of two, found 3"),
        (document(proof={"kind": "memory-prices", "scale": 8, "boundaries": [0, 1],
                         "prices": [-1]}), f"proof.prices[0]: {WHOLE} -1"),
        (document(proof={"kind": "memory-prices", "scale": 8, "boundaries": [1, 1], "prices": [1]}),
         "proof.boundaries[1]: expected more than boundaries[0] = 1, found 1"),
        (document(proof={"kind": "memory-prices", "scale": 8, "boundaries": [0, 1],
                         "prices": [2**62]}), f"proof.prices[0]: {WHOLE} {2**62}"),
        (document(proof={"kind": "round-prices", "scale": 1, "first": 1, "prices": [0, -1],
                         "shares": []}), f"proof.prices[1]: {WHOLE} -1"),
        (document(proof={"kind": "round-prices", "scale": 1, "first": 0, "prices": [],
                         "shares": []}),
         "proof.first: expected an integer from 1 to 2^62, found 0"),
        (document(proof={"kind": "round-prices", "scale": 1, "first": 2**61, "prices": [1],
                         "shares": []}),
         f"proof.prices: expected rounds up to 1048576, found rounds {2**61} to {2**61}"),
        (document(proof={"kind": "round-prices", "scale": 1, "first": 1, "prices": []}),
         "proof.shares: missing"),
        (proof_record(value=7), "proof.value: unknown key"),
        (proof_record(scale=0), "proof.scale: expected an integer from 1 to 2^62, found 0"),
        (proof_record(scale="3"), "proof.scale: expected an integer from 1 to 2^62, found '3'"),
        (proof_record(types=7), "proof.types: expected an array, found 7"),
        (proof_record(types=[[7, 0], [7, 0]]), "proof.types: [7, 0] appears more than once"),
        (proof_record(types=[[7, 0], [3]]),
         "proof.types[1]: expected tokens held ≥ 1 and rounds to go ≥ 0, found [3]"),
        (proof_record(types=[[0, 0], [3, 0]]),
         "proof.types[0]: expected tokens held ≥ 1 and rounds to go ≥ 0, found [0, 0]"),
        (proof_record(rounds=[4]), "proof.rounds[0]: expected an object, found 4"),
        (proof_record(rounds=[{"first": 4, "last": 4}]), "proof.rounds[0].prices: missing"),
        (proof_record(rounds=[{"first": 0, "last": 4, "prices": []}]),
         "proof.rounds[0].first: expected an integer from 1 to 2^62, found 0"),
        (proof_record(rounds=[{"first": 4, "last": 3, "prices": []}]),
         "proof.rounds[0].last: expected an integer from 4 to 2^62, found 3"),
        (proof_record(rounds=[{"first": 4, "last": 4, "prices": [[0, -1]]}]),
         f"proof.rounds[0].prices[0][1]: {WHOLE} -1"),
        (proof_record(rounds=[{"first": 4, "last": 4, "prices": [[0, 0.5]]}]),
         f"proof.rounds[0].prices[0][1]: {WHOLE} 0.5"),
        (proof_record(rounds=[{"first": 4, "last": 4, "prices": [[0, 10**50]]}]),
         f"proof.rounds[0].prices[0][1]: {WHOLE} {str(10**50)[:40]}…"),
        (proof_record(rounds=[{"first": 4, "last": 4, "prices": [[1, 3, 1]]}]),
         "proof.rounds[0].prices[0]: expected a position and prices of the 2 types, found 1 and 2 "
         "prices"),
        (proof_record(rounds=[{"first": 1, "last": 4, "prices": []},
                              {"first": 4, "last": 4, "prices": []}]),
         "proof.rounds[1].first: expected an integer from 5 to 2^62, found 4"),
        (proof_record(rounds=[{"first": 1, "last": 2**40, "prices": [[0, 1]]}]),
         "proof.rounds: expected at most 33554432 prices (rounds × types), found 1099511627777 × "
         "2"),
        ({key: value for key, value in document().items() if key != "bound"}, "bound: missing"),
        ({key: value for key, value in document().items() if key != "digest"}, "digest: missing"),
        ({key: value for key, value in document().items() if key != "format"},
         "format: expected 'batchprophet-certificate', found None"),
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(tmp_path, changed, message):
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(changed))
    with pytest.raises(InputError) as refused:
        read_certificate(path)
    # Numbers that are not whole are refused as soon as they are read.
    found = next((x for x in ("1.0", "7.0", "0.5") if message.endswith(f"found {x}")), None)
    expected = message if found is None else f"expected whole numbers, found '{found}'"
    assert str(refused.value) == f"{path}: {expected}"
    with pytest.raises(InputError) as refused:
        Certificate.from_record(changed)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a certificate, found an empty file"),
        ("[]", "certificate: expected an object, found []"),
        ("{", "line 1, column 2: not valid JSON (Expecting property name enclosed in double "
         "quotes)"),
        ('{"bound": 1, "bound": 2}', "key 'bound' appears more than once in one object"),
        ('{"bound": NaN}', "expected whole numbers, found 'NaN'"),
        ('{"bound": 1e3}', "expected whole numbers, found '1e3'"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(tmp_path, content, message):
    path = tmp_path / "certificate.json"
    path.write_text(content)
    with pytest.raises(InputError) as refused:
        read_certificate(path)
    assert str(refused.value) == f"{path}: {message}"


def test_other_refusals_of_files(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read \(No such file"):
        read_certificate(tmp_path / "none.json")
    path = tmp_path / "certificate.json"
    path.write_bytes(b'{\n"bound": "\xff"}')
    with pytest.raises(InputError, match="line 2: expected UTF-8 text"):
        read_certificate(path)
    path.write_text("9" * 5000)
    with pytest.raises(InputError, match="not valid JSON"):
        read_certificate(path)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not valid JSON"):
        read_certificate(path)


@pytest.mark.parametrize(
    "other",
    [
        {"gpu": Gpu(kv_capacity=10)},
        {"arrival": [0, 1]},
        {"prompt": [2, 1]},
        {"output": [4, 3]},
        {"arrival": [2, 0], "prompt": [1, 3], "output": [2, 4]},
    ],
)
def test_a_certificate_of_other_data_is_refused(other):
    certificate = Certificate.from_record(document())
    with pytest.raises(InputError) as refused:
        verify(certificate, SMALL.replace(**other))
    message = str(refused.value)
    assert message.startswith("digest: expected ")
    assert message.endswith("…: the certificate is another instance's")
    assert verify(certificate, SMALL.replace(name="a new name", weight=[2, 3])).verified


def test_the_digest_covers_what_the_objective_looks_at():
    instance = tiny_instance(1)
    others = {
        "weighted": {"weight": instance.weight + 1},
        "reward": {"reward": instance.reward + 1},
    }
    for objective, other in others.items():
        name = "starts at arrival"
        value = dict(all_bounds(instance, objective))[name]
        certificate = certify(value, CombinatorialBound(name=name), instance, objective)
        assert verify(certificate, instance).verified
        with pytest.raises(InputError, match="another instance's"):
            verify(certificate, instance.replace(**other))
    with pytest.raises(InputError, match="another instance's"):
        verify(certificate, instance.replace(horizon=instance.horizon + 1))


def test_a_bound_of_another_objective_is_refused():
    proof = CombinatorialBound(name="KV area, fractional knapsack")
    with pytest.raises(InputError, match=r"proof\.name: expected a bound on latency"):
        verify(certify(7, proof), SMALL)


def test_a_bound_that_contradicts_the_schedule_is_refused():
    verification = verify(Certificate.from_record(document()), SMALL, value=6)
    assert not verification.verified
    assert verification.reason == "the bound 7 contradicts the schedule, whose latency is 6"
    instance = tiny_instance(3)
    upper = certify(1, CombinatorialBound(name="starts at arrival"), instance, "reward")
    assert "contradicts" in verify(upper, instance, value=2).reason


def test_out_of_time_is_no_verification():
    certificate = Certificate.from_record(document())
    verification = verify(certificate, SMALL, time_limit=0)
    assert not verification.verified
    assert verification.reason == "not verified within the time limit of 0 s"
    with pytest.raises(InputError, match="time_limit: expected at least 0 seconds, found nan"):
        verify(certificate, SMALL, time_limit=float("nan"))
    # An exhaustive search far beyond any patience stops, too.
    instance = make_instance("arrival-model-1", seed=100)
    hopeless = certify(1200, ExhaustiveSearch(value=1200, table=NO_PRICES), instance)
    verification = verify(hopeless, instance, time_limit=2)
    assert verification.reason == "not verified within the time limit of 2 s"
    assert verification.seconds < 10


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        (ExhaustiveSearch(value=7, table=NO_PRICES), "at most 128 requests with outputs below 255"),
        (ConfigurationPriceProof(table=NO_PRICES), "kv_capacity: configuration prices are for"),
    ],
)
def test_instances_beyond_a_verifier_are_refused(proof, message):
    instance = Instance(gpu=Gpu(kv_capacity=70_000), arrival=[0], prompt=[1], output=[300])
    with pytest.raises(InputError, match=message):
        bound_of(proof, instance)


def test_price_tables_refuse_what_is_no_price():
    for changes, message in (
        ({"price": [[0], [-1]]}, "expected prices ≥ 0"),
        ({"price": [[1], [1]]}, "none in round 0"),
        ({"scale": 0}, "a scale ≥ 1"),
        ({"price": [[0, 0]]}, "expected rows of 1 prices"),
        ({"types": ((7, 0), (7, 0)), "price": [[0, 0]]}, "each type once"),
    ):
        good = {"scale": 1, "types": ((7, 0),), "price": [[0], [1]]}
        with pytest.raises(InputError, match=message):
            PriceTable(**(good | changes))


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "proof",
    [
        CombinatorialBound(name="KV area, mean busy time"),
        MemoryPriceProof(prices=MemoryPrices(boundaries=(0, 3, 4), prices=(0, 3), scale=8)),
        ConfigurationPriceProof(table=TABLE),
        ExhaustiveSearch(value=7, table=TABLE),
        KnapsackPriceProof(
            scale=8, first=4, prices=(3,), step=4, presence=((0, 2, 1), (1, 3, 0, 1))
        ),
        RoundPriceProof(scale=8, first=4, prices=(3,), shares=(1, 2)),
    ],
)
def test_files_keep_everything(tmp_path, proof):
    path = tmp_path / "certificate.json"
    certificate = certify(Fraction(7), proof)
    write_certificate(certificate, path)
    assert read_certificate(path) == certificate
    assert json.loads(path.read_bytes()) == certificate.to_record()
    assert PROOF_KINDS[proof.kind] is type(proof)


def test_fractions_are_written_in_lowest_terms(tmp_path):
    instance = tiny_instance(4)
    proof = CombinatorialBound(name="starts at arrival")
    certificate = certify(Fraction(7, 2), proof, instance, "weighted")
    assert certificate.to_record()["bound"] == "7/2"
    assert Certificate.from_record(certificate.to_record()) == certificate


def test_certificates_at_the_published_scale_are_small():
    instance = make_instance("arrival-model-2", seed=104)  # 72 requests, 865 rounds, 548 types
    schedule = list_schedule(instance, instance.volume, skip=True)
    prices = configuration_prices(instance, schedule, work_limit=3000)
    table = price_table(instance, prices)
    proved = bound_of(ConfigurationPriceProof(table=table), instance)
    certificate = certify(proved, ConfigurationPriceProof(table=table), instance)
    small = compact(certificate, instance)
    assert small.bound == certificate.bound
    assert verify(small, instance).verified
    assert len(encode_certificate(small)) < 2_000_000


def test_a_coarser_exhaustive_search_proves_the_same():
    instance = make_instance("arrival-model-1", seed=3, settings={"n": 8})
    solution = solve(instance, time_limit=30)
    small = compact(solution.certificate, instance)
    assert small.proof.kind == "exhaustive-search"
    assert len(encode_certificate(small)) < len(encode_certificate(solution.certificate))
    assert verify(small, instance, value=solution.objective).verified


# ---------------------------------------------------------------- verbs and command line


def test_verbs(tmp_path):
    solved = bp.solve(SMALL)
    solved.save_certificate(tmp_path / "certificate.json")
    for certificate in (solved.solution.certificate, tmp_path / "certificate.json"):
        checked = bp.check(SMALL, solved.schedule, certificate=certificate, time_limit=60)
        assert checked.holds
        assert checked.bound.verified
    assert not bp.check(SMALL, bp.MixedSchedule([0, 2]), certificate=certificate).holds
    with pytest.raises(InputError, match="time_limit: expected at least 0 seconds, found -1"):
        bp.check(SMALL, solved.schedule, certificate=certificate, time_limit=-1)


def test_a_bound_without_a_certificate_is_called_so(tmp_path):
    solved = bp.solve(SMALL)
    weaker = replace(solved.solution, certificate=certify(6, CombinatorialBound(
        name="starts at arrival")))  # fmt: skip
    assert replace(solved, solution=weaker).certified() == (
        "bound 6, proof: combinatorial "
        f"(the better bound 7 has no certificate; found by {solved.solution.bound_by})"
    )
    none = replace(solved, solution=replace(solved.solution, certificate=None))
    assert none.certified() == "no bound has a certificate"
    with pytest.raises(InputError, match=r"c\.json: no bound of this solution has a certificate"):
        none.save_certificate(tmp_path / "c.json")


@pytest.fixture
def files(tmp_path):
    """Files of the small instance, its solution and its certificate."""
    paths = [tmp_path / name for name in ("instance.json", "solution.json", "certificate.json")]
    bp.write_instance(SMALL, paths[0])
    bp.solve(SMALL).save(paths[1])
    paths[2].write_text(json.dumps(document()))
    return paths


def test_solve_writes_what_check_verifies(files, capsys):
    instance, solution, certificate = map(str, files)
    words = ["solve", instance, "--out", solution, "--certificate", certificate]
    assert run(words) == 0
    kind = read_certificate(certificate).proof.kind
    assert capsys.readouterr().err == f"wrote {certificate}: bound 7, proof: {kind}\n"
    assert run(["check", instance, solution, "--bound", certificate, "--time-limit", "60"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:4] == ["feasible", "  latency   7", "  weighted  9", "  makespan  5"]
    assert shown[4:8] == [
        "bound verified",
        "  claim    7 (latency)",
        f"  proof    {kind}",
        "  reason   the proof gives 7",
    ]


def test_check_prints_the_verdict_as_json(files, capsys):
    instance, solution, certificate = map(str, files)
    assert run(["check", instance, solution, "--bound", certificate, "--json"]) == 0
    bound = json.loads(capsys.readouterr().out)["bound"]
    assert bound.pop("seconds") >= 0
    assert bound.pop("proved") == pytest.approx(19 / 3)
    assert bound == {
        "objective_name": "latency",
        "bound": 7,
        "proof": "configuration-prices",
        "verified": True,
        "replayed": False,
        "reason": "the proof gives 7",
    }


@pytest.mark.parametrize(
    ("changed", "more", "reason"),
    [
        (document(bound=8), [], "the bound 8 contradicts the schedule, whose latency is 7"),
        (proof_record(rounds=[]), [], "the proof gives 6 at most, not the bound 7 that is claimed"),
        (document(), ["--time-limit", "0"], "not verified within the time limit of 0 s"),
    ],
)
def test_check_exits_1_where_the_bound_is_not_proved(files, capsys, changed, more, reason):
    instance, solution, certificate = map(str, files)
    files[2].write_text(json.dumps(changed))
    assert run(["check", instance, solution, "--bound", certificate, *more]) == 1
    shown = capsys.readouterr().out
    assert "feasible\n" in shown
    assert "bound not verified\n" in shown
    assert f"  reason   {reason}\n" in shown


def test_check_exits_1_where_the_schedule_is_infeasible(files, capsys):
    instance, solution, certificate = map(str, files)
    files[1].write_text('{"model": "mixed", "schedule": {"start": [0, 2]}}')
    assert run(["check", instance, solution, "--bound", certificate]) == 1
    shown = capsys.readouterr().out
    assert "infeasible: 1 violation" in shown
    assert "bound verified" in shown


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (document(digest="0" * 64),
         "digest: expected ec527eeb4821… of 'small', found 000000000000…: the certificate is "
         "another instance's"),
        (proof_record(scale=-1), "proof.scale: expected an integer from 1 to 2^62, found -1"),
    ],
)  # fmt: skip
def test_check_exits_2_where_it_is_no_certificate(files, capsys, changed, message):
    instance, solution, certificate = map(str, files)
    files[2].write_text(json.dumps(changed))
    assert run(["check", instance, solution, "--bound", certificate]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"batchprophet: {certificate}: {message}\n"


def test_solve_refuses_a_certificate_that_cannot_be_written(files, capsys):
    wanted = files[0].parent / "none" / "certificate.json"
    assert run(["solve", str(files[0]), "--certificate", str(wanted)]) == 2
    assert "cannot be written" in capsys.readouterr().err
