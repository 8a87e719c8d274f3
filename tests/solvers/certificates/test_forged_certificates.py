"""Forged certificates: whatever a file says, no bound beyond the optimum is ever verified.

Honest proofs of every kind on tiny instances of known optimum are accepted; proofs by chance, and
honest ones with numbers changed, lists cut and values raised, are read from their JSON form, as the
command line does, and claim more than the optimum.
"""

import copy
import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.cli import run
from batchprophet.models.errors import InputError
from batchprophet.models.families.registry import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.objectives import MAXIMISED, value_step
from batchprophet.solvers.certificates.certificate import Certificate
from batchprophet.solvers.certificates.digest import instance_digest
from batchprophet.solvers.certificates.mixed.combinatorial import ROUTINES
from batchprophet.solvers.certificates.mixed.configuration_prices import ConfigurationPriceProof
from batchprophet.solvers.certificates.mixed.memory_prices import MemoryPriceProof
from batchprophet.solvers.certificates.registry import PROOF_KINDS
from batchprophet.solvers.certificates.separate.waits_and_stalls import WaitsAndStallsProof
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.mixed.bounds.class_prices import class_prices
from batchprophet.solvers.mixed.bounds.combinatorial import all_bounds
from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
from batchprophet.solvers.mixed.bounds.knapsack_prices import knapsack_price_bound
from batchprophet.solvers.mixed.bounds.memory_prices import memory_price_bound
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.proofs.price_tables import price_table
from batchprophet.solvers.replay import REPLAYS
from batchprophet.solvers.separate.bounds.gpu_path_prices import unpriced_path
from batchprophet.solvers.separate.bounds.waits_and_stalls import waits_and_stalls
from batchprophet.solvers.separate.equal_requests.recipe import equal_requests
from tests.brute_force import brute_force
from tests.brute_force_separate import brute_force_separate
from tests.solvers.certificates.continuous.test_batch_length_prices import (
    random_proof as continuous_prices,
)
from tests.tiny_instances import OBJECTIVES, tiny_instance
from tests.tiny_separate import tiny_separate

#: Numbers that forgers like.
TEMPTING = (0, 1, -1, 2, 7, 255, 2**20, 2**31, 2**53, 2**61, 2**62 - 1, -(2**61))


def claim(instance, objective, model, bound, proof):
    """A certificate file's document."""
    return {
        "format": "batchprophet-certificate",
        "version": 1,
        "instance": instance.name,
        "digest": instance_digest(instance, objective, model),
        "model": model,
        "objective_name": objective,
        "bound": bound if isinstance(bound, int) else str(bound),
        "proof": proof,
    }


def verdict(document, instance, time_limit=None):
    """Read and verify as `check` does; the reason where it is refused, None where verified."""
    try:
        certificate = Certificate.from_record(json.loads(json.dumps(document)))
        verification = verify(certificate, instance, time_limit=time_limit, replays=REPLAYS)
    except InputError as error:
        return str(error)
    return None if verification.verified else verification.reason


def beyond(instance, objective, best):
    """The least claim that is false; None where none can be made."""
    step = value_step(instance, objective)
    if objective not in MAXIMISED:
        return best + (int(step) if step.denominator == 1 else step)
    worse = best - step
    return None if worse < 0 else (int(worse) if worse.denominator == 1 else worse)


# ---------------------------------------------------------------- proofs


def honest_mixed(instance, best):
    """Proofs of the latency that hold, with what they prove."""
    schedule = list_schedule(instance, instance.volume)
    prices = configuration_prices(instance, schedule, work_limit=60)
    table = price_table(instance, prices)
    memory = memory_price_bound(instance, steps=10)
    yield prices.bound, ConfigurationPriceProof(table=table).to_record()
    yield memory.value, MemoryPriceProof(prices=memory.prices).to_record()
    knapsacks = knapsack_price_bound(instance, memory.prices, steps=30)
    yield knapsacks.value, knapsacks.proof.to_record()
    for name, value in all_bounds(instance, "latency"):
        yield value, {"kind": "combinatorial", "name": name}
    of_classes = class_prices(instance, schedule, steps=10)
    yield of_classes[0], of_classes[1].to_record()
    if len(set(zip(instance.prompt.tolist(), instance.output.tolist(), strict=True))) == 1:
        yield best, {"kind": "equal-requests", "value": best, "rounds": 1}
    free = {"scale": 1, "first": 1, "prices": [0, 0], "shares": []}
    yield instance.output.sum(), {"kind": "round-prices", **free}
    for kind in ("exhaustive-search", "path-search"):
        for value in range(max(1, best - 2), best + 1):
            yield value, {"kind": kind, "value": value, **table.to_record()}


def honest_makespan(instance, best):
    """Proofs that no schedule is done earlier."""
    within = {"kind": "exhaustive-search", "value": 1, "scale": 1, "types": [], "rounds": []}
    for value in range(max(1, best - 2), best + 1):
        yield value, {"kind": "deadline", "value": value, "proof": within}


def divided(rng, instance, proofs):
    """Proofs of parts, as `blocks` hold them; a proof takes a part of the instance."""
    members = rng.permutation(instance.n).tolist()
    cut = int(rng.integers(0, instance.n + 1))
    parts = []
    for requests in (members[:cut], members[cut:]):
        if requests:
            kept = instance.take(requests)
            part = kept.replace(arrival=kept.arrival - int(kept.arrival.min()))
            parts.append({"requests": requests, "proof": proofs(part)})
    return parts


def honest_blocks(rng, instance):
    """Parts with nothing, or an area bound, and what they prove."""
    names = ("starts at arrival", "KV area, mean busy time")

    def proof(part):
        if rng.random() < 0.3:
            return None
        return {"kind": "combinatorial", "name": str(rng.choice(names))}

    return 0, {"kind": "blocks", "parts": divided(rng, instance, proof)}


def honest_separate_blocks(rng, instance):
    def proof(part):
        value, _ = brute_force_separate(part)
        walk = unpriced_path(part, value)
        return walk and {**walk.to_record(), "kind": "walk-search", "value": value}

    return 0, {"kind": "separate-blocks", "parts": divided(rng, instance, proof)}


def honest_separate(instance, best):
    for memory in range(3):
        found = waits_and_stalls(instance, memory)
        yield found.bound, found.proof.to_record()
    walk = unpriced_path(instance, best)
    if walk is not None:
        yield 0, walk.to_record()
        yield best, {**walk.to_record(), "kind": "walk-search", "value": best}
    for found in equal_requests(instance, entries=100_000):
        yield found.bound, found.proof.to_record()
    prices = continuous_prices(np.random.default_rng(best), instance.n, best)
    yield 0, relaxation(prices.to_record())
    alone = {"kind": "continuous-combinatorial", "name": "served at arrival"}
    yield 0, relaxation(alone)


def relaxation(proof):
    return {"kind": "relaxation", "regime": "continuous", "proof": proof}


def falling(rng, times, low, high):
    """Prices that do not rise, as a proof of the walk writes them."""
    row = np.sort(rng.integers(low, high + 1, times))[::-1]
    return [[int(price), 1] for price in row]


def walk_by_chance(rng, instance, end):
    times = end - int(instance.arrival.min()) + 1
    classes = {
        (s + g, o - g)
        for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
        for g in range(1, o)
    }
    largest = int(rng.choice([0, 2, 9]))
    return {
        "kind": "walk-prices",
        "scale": int(rng.integers(1, 4)),
        "end": end,
        "prompt": rng.integers(-largest, 3 * largest + 1, instance.n).tolist(),
        "kv": falling(rng, times, 0, largest // 2),
        "running": [
            {"held": h, "to_go": r, "prices": falling(rng, times, -largest, largest)}
            for h, r in sorted(classes)
            if rng.random() < 0.7
        ],
    }


def table_by_chance(rng, instance):
    M = instance.gpu.kv_capacity
    every = [[w, r] for w in range(1, M + 1) for r in range(M - w + 1)]
    types = [every[q] for q in rng.permutation(len(every))[: rng.integers(0, 12)]]
    top = int(rng.choice([2, 9, 2**40, 2**61]))
    last = int(rng.integers(1, 12))
    rounds = [
        {"first": t, "last": t, "prices": [[0, *rng.integers(0, top, len(types)).tolist()]]}
        for t in range(1, last + 1)
        if types and rng.random() < 0.5
    ]
    return {"scale": int(rng.choice([1, 4, top])), "types": types, "rounds": rounds}


def by_chance(rng, instance, objective, value):
    """A proof of some kind for the regime and objective, made without looking for a good one."""
    kinds = [k for k, p in PROOF_KINDS.items() if p.model == "mixed" and objective in p.objectives]
    kind = rng.choice(kinds)
    value = int(Fraction(value) / value_step(instance, objective))
    if kind == "combinatorial":
        return {"kind": kind, "name": str(rng.choice(list(ROUTINES[objective])))}
    if kind == "blocks":

        def inner(part):
            proof = by_chance(rng, part, objective, value * value_step(instance, objective))
            return None if proof["kind"] in ("blocks", "path-search") else proof

        return {"kind": str(kind), "parts": divided(rng, instance, inner)}
    if kind == "memory-prices":
        boundaries = np.cumsum(rng.integers(1, 5, int(rng.integers(2, 6)))).tolist()
        prices = rng.integers(0, 9, len(boundaries) - 1).tolist()
        return {"kind": kind, "scale": 4, "boundaries": boundaries, "prices": prices}
    if kind == "knapsack-prices":
        runs = [
            [i, int(rng.integers(1, 12)), *rng.integers(0, 9, int(rng.integers(1, 8))).tolist()]
            for i in range(instance.n)
            if rng.random() < 0.7
        ]
        prices = rng.integers(0, 5, int(rng.integers(0, 12))).tolist()
        return {
            "kind": str(kind), "scale": int(rng.choice([1, 8, 64])), "first": 1, "prices": prices,
            "step": int(rng.choice([1, 4, 2**30])), "presence": runs,
        }  # fmt: skip
    if kind == "round-prices":
        shares = rng.multinomial(8, [1 / instance.n] * instance.n).tolist()
        prices = rng.integers(0, 5, int(rng.integers(0, 12))).tolist()
        return {
            "kind": str(kind), "scale": 8, "first": int(rng.integers(1, 5)), "prices": prices,
            "shares": shares if objective == "makespan" else [],
        }  # fmt: skip
    if kind == "equal-requests":
        return {"kind": str(kind), "value": int(value + rng.choice([0, 1, 5])), "rounds": 1}
    if kind == "class-prices":
        kinds = zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
        classes = sorted(map(list, set(kinds)))
        weights = [[rng.integers(0, 5, o).tolist() for _, o in classes]]
        prices = rng.integers(0, 4, int(rng.integers(0, 20))).tolist()
        return {
            "kind": str(kind), "scale": 8, "classes": classes, "weights": weights,
            "multipliers": [prices],
        }  # fmt: skip
    table = table_by_chance(rng, instance)
    if kind == "configuration-prices":
        return {"kind": str(kind), **table}
    if kind == "deadline":
        within = rng.choice(["configuration-prices", "exhaustive-search"])
        claimed = {"value": int(rng.choice([0, 1, 2]))} if within == "exhaustive-search" else {}
        proof = {"kind": str(within), **claimed, **table}
        return {"kind": str(kind), "value": int(value + rng.choice([1, 2, 2**61])), "proof": proof}
    return {"kind": str(kind), "value": int(value + rng.choice([0, 0, 1, 5, 2**61])), **table}


def separate_by_chance(rng, instance, value):
    kinds = ["walk-prices", "walk-search", "waits-and-stalls", "separate-blocks", "relaxation"]
    kind = rng.choice([*kinds, "separate-equal-requests"])
    if kind == "separate-equal-requests":
        batches, split = rng.integers([1, 0], [5, 4]).tolist()
        return {"kind": str(kind), "batches": batches, "split": split}
    if kind == "relaxation":
        return relaxation(continuous_prices(rng, instance.n, value).to_record())
    if kind == "separate-blocks":

        def inner(part):
            proof = separate_by_chance(rng, part, value)
            return None if proof["kind"] == kind else proof

        return {"kind": str(kind), "parts": divided(rng, instance, inner)}
    if kind == "waits-and-stalls":
        numbers = rng.integers([0, 0, 1], [4, 9, 30]).tolist()
        names = ("memory", "remembered", "reach")
        return {"kind": str(kind), **dict(zip(names, numbers, strict=True))}
    end = int(instance.arrival.max()) + int(rng.choice([rng.integers(0, 30), 2 * value]))
    walk = walk_by_chance(rng, instance, end)
    if kind == "walk-prices":
        return walk
    return {**walk, "kind": str(kind), "value": int(value + rng.choice([0, 0, 1, 5, 2**61]))}


# ---------------------------------------------------------------- mutations


def leaves(record, path=()):
    """Paths to the numbers of a record, and to its lists."""
    inside = record.items() if isinstance(record, dict) else enumerate(record)
    for key, value in inside:
        if isinstance(value, (dict, list)):
            if isinstance(value, list):
                yield (*path, key)
            yield from leaves(value, (*path, key))
        elif isinstance(value, int) and not isinstance(value, bool):
            yield (*path, key)


def mutated(rng, record):
    """The record with one to three numbers or lists changed."""
    record = copy.deepcopy(record)
    for _ in range(int(rng.integers(1, 4))):
        paths = list(leaves(record))
        if not paths:
            break
        *way, last = paths[int(rng.integers(len(paths)))]
        place = record
        for key in way:
            place = place[key]
        old = place[last]
        if isinstance(old, list):
            change = rng.integers(4)
            if change == 0 and old:
                del old[int(rng.integers(len(old)))]
            elif change == 1 and old:
                old.insert(0, copy.deepcopy(old[int(rng.integers(len(old)))]))
            elif change == 2:
                old.reverse()
            else:
                place[last] = []
        elif rng.random() < 0.3:
            place[last] = int(rng.choice(TEMPTING))
        else:
            place[last] = old + int(rng.choice([-2, -1, 1, 2, 10]))
    return record


def forge(rng, instance, objective, model, best, proof):
    """Claim more than the optimum by a proof; whether such a claim could be made."""
    false = beyond(instance, objective, best)
    if false is None:
        return False
    if "value" in proof and rng.random() < 0.7:
        proof = {**proof, "value": int(false + rng.choice([0, 1, 3]))}
    document = claim(instance, objective, model, false, proof)
    reason = verdict(document, instance, time_limit=2)
    assert reason is not None, (instance, objective, best, proof)
    assert "\n" not in reason
    return True


# ---------------------------------------------------------------- theorems


class Tally:
    """How many honest proofs of each kind were accepted, and how many forged ones refused."""

    def __init__(self, rng, model):
        self.rng, self.model = rng, model
        self.accepted, self.refused = Counter(), Counter()

    def try_honest(self, instance, best, proofs, objective="latency"):
        """Every honest proof is accepted; none with some numbers changed proves more."""
        for bound, proof in proofs:
            honest = claim(instance, objective, self.model, max(0, int(bound)), proof)
            assert verdict(honest, instance) is None, (instance, proof)
            self.accepted[proof["kind"]] += 1
            for _ in range(5):
                self.try_forged(instance, objective, best, mutated(self.rng, proof))

    def try_forged(self, instance, objective, best, proof):
        made = forge(self.rng, instance, objective, self.model, best, proof)
        self.refused[proof["kind"]] += made


def kinds_of(model):
    return {kind for kind, proof in PROOF_KINDS.items() if proof.model == model}


@pytest.mark.parametrize("seed", range(4))
def test_no_forged_bound_of_mixed_batching_is_verified(seed):
    rng = np.random.default_rng([1, seed])
    tally = Tally(rng, "mixed")
    for number in range(12):
        instance = tiny_instance(100 * seed + number)
        best, _ = brute_force(instance)
        proofs = (*honest_mixed(instance, best), honest_blocks(rng, instance))
        tally.try_honest(instance, best, proofs)
        optima = {name: brute_force(instance, name)[0] for name in OBJECTIVES}
        of_makespan = honest_makespan(instance, optima["makespan"])
        tally.try_honest(instance, optima["makespan"], of_makespan, "makespan")
        for _ in range(40):
            objective = str(rng.choice(OBJECTIVES))
            optimum = optima[objective]
            tally.try_forged(
                instance, objective, optimum, by_chance(rng, instance, objective, optimum)
            )
    assert tally.accepted.keys() == tally.refused.keys() == kinds_of("mixed")
    assert tally.refused.total() > 1000


@pytest.mark.parametrize("seed", range(4))
def test_no_forged_bound_of_separate_batching_is_verified(seed):
    rng = np.random.default_rng([2, seed])
    tally = Tally(rng, "separate")
    for number in range(12):
        instance = tiny_separate(100 * seed + number)
        best, _ = brute_force_separate(instance)
        proofs = (*honest_separate(instance, best), honest_separate_blocks(rng, instance))
        tally.try_honest(instance, best, proofs)
        for _ in range(30):
            tally.try_forged(instance, "latency", best, separate_by_chance(rng, instance, best))
    assert tally.accepted.keys() == tally.refused.keys() == kinds_of("separate")
    assert tally.refused.total() > 600


# ---------------------------------------------------------------- faults that were found


def test_a_value_that_some_schedule_is_below_proves_nothing():
    # The optimum is 7. The first schedule found below 9 costs 8: that is no bound.
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    for bound in range(9):
        proof = {"kind": "exhaustive-search", "value": 9, "scale": 1, "types": [], "rounds": []}
        document = claim(instance, "latency", "mixed", bound, proof)
        assert verdict(document, instance) == (
            "nothing is proved: there is a schedule of total latency 8, below the value 9 of the "
            "proof"
        )


def small_separate():
    gpu = Gpu(kv_capacity=9)
    return Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[2, 1])  # the optimum is 3


def walk_search(**changes):
    walk = {
        "kind": "walk-search", "scale": 1, "end": 12, "value": 3, "prompt": [0, 0],
        "kv": [[0, 13]], "running": [],
    }  # fmt: skip
    return claim(small_separate(), "latency", "separate", 3, walk | changes)


def test_nor_does_one_of_separate_batching():
    assert verdict(walk_search(), small_separate()) is None
    for value in (4, 5, 2**61):
        for bound in (1, 3, 4):
            document = walk_search(value=value) | {"bound": bound}
            assert "nothing is proved: there is a schedule" in verdict(document, small_separate())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompt": [2**61, 2**61]}, "proof: exhaustive search is for costs up to "),
        ({"kv": [[2**61, 13]]}, "proof: exhaustive search is for costs up to "),
        ({"running": [{"held": 4, "to_go": 1, "prices": [[2**61, 13]]}]}, "proof: exhaustive "),
        ({"prompt": []}, "proof.prompt: expected 2 prices, found 0"),
        ({"kv": [[0, 12]]}, "proof.kv: expected 13 prices, found 12"),
        ({"kv": [[0, 6], [1, 7]]}, "proof.kv: expected prices that do not rise"),
        ({"kv": [[0, 2**50]]}, "proof.kv[0]: expected at most 16777216 prices in all"),
        ({"running": [{"held": h, "to_go": 1, "prices": [[0, 2**23]]} for h in range(1, 9)]},
         "proof.running[2].prices[0]: expected at most 16777216 prices in all"),
        ({"end": 2**61}, f"proof.end: out of range for the instance, found {2**61}"),
        ({"scale": 2**61}, "proof: exhaustive search is for costs up to "),
    ],
)  # fmt: skip
def test_huge_numbers_of_a_search_are_refused_in_one_line(changes, reason):
    assert verdict(walk_search(**changes), small_separate()).startswith(reason)


def table_search(kind, **changes):
    instance = tiny_instance(6)
    proof = {"kind": kind, "value": 1, "scale": 1, "types": [], "rounds": []} | changes
    return claim(instance, "latency", "mixed", 1, proof), instance


@pytest.mark.parametrize("kind", ["exhaustive-search", "path-search"])
def test_huge_numbers_of_a_table_are_refused_in_one_line(kind):
    s, o = (int(column[0]) for column in (tiny_instance(6).prompt, tiny_instance(6).output))
    dear = {"types": [[s + o, 0]], "rounds": [{"first": 3, "last": 9, "prices": [[0, 2**61]]}]}
    if kind == "path-search":
        large = "costs (requests × rounds × outputs), found 3 × "
        assert large in verdict(*table_search(kind, **dear))
    else:  # which ends at the horizon, and does not round prices to a scale of its own
        fine = {"scale": 2**60, "value": 10}
        assert "costs below" in verdict(*table_search(kind, **dear))
        assert "costs below" in verdict(*table_search(kind, **dear, **fine))
    assert "nothing is proved" in verdict(*table_search(kind, value=2**61))
    long = {"types": [[s + o, 0]], "rounds": [{"first": 1, "last": 2**25 - 2, "prices": []}]}
    assert verdict(*table_search(kind, **long)) is None  # rows of 0 are no rows
    assert "rounds × types" in verdict(
        *table_search(
            kind,
            types=[[1, 0]],
            rounds=[{"first": 1, "last": 2**26 - 2, "prices": [[0, 1]]}],
        )
    )


def test_a_kind_that_can_only_be_replayed_is_not_verified_without():
    instance = tiny_instance(6)
    proof = {"kind": "path-search", "value": 1, "scale": 1, "types": [], "rounds": []}
    certificate = Certificate.from_record(claim(instance, "latency", "mixed", 1, proof))
    alone = verify(certificate, instance)
    assert (alone.verified, alone.replayed) == (False, True)
    assert "can only be replayed by the code that found it" in alone.reason
    again = verify(certificate, instance, replays=REPLAYS)
    assert (again.verified, again.replayed) == (True, True)


def test_only_proofs_of_registered_kinds_are_asked():
    class Boast(WaitsAndStallsProof):
        def bound(self, instance, objective, clock):
            return 10**6

    honest = {"kind": "waits-and-stalls", "memory": 0, "remembered": 0, "reach": 9}
    document = claim(small_separate(), "latency", "separate", 3, honest)
    certificate = Certificate.from_record(document)
    boast = Boast(memory=0, remembered=0, reach=9)
    verification = verify(replace(certificate, proof=boast, bound=100), small_separate())
    assert not verification.verified


# ---------------------------------------------------------------- time


#: Kinds whose verification takes no time to speak of.
QUICK_KINDS = {"combinatorial", "continuous-combinatorial"}


def hostile(kind):
    """A certificate that takes minutes or more to verify, and its instance."""
    if kind == "round-prices":
        instance = make_instance("lognormal-burst", seed=1, settings={"n": 300})
        proof = {"scale": 1, "first": 1, "prices": [0] * 2**19, "shares": []}
    elif kind == "memory-prices":
        instance = make_instance("lognormal-burst", seed=1, settings={"n": 3000})
        bounds = list(range(2**16 + 1))
        proof = {"scale": 1, "boundaries": bounds, "prices": [1, 0] * 2**15}
    elif kind == "knapsack-prices":  # knapsacks of 4,000 items in 4,000 rounds
        n = 4000
        instance = Instance(
            gpu=Gpu(kv_capacity=2**14),
            arrival=[0] * n,
            prompt=list(range(1, n + 1)),
            output=[9] * n,
        )
        runs = [[i, 1, *[i % 7 + 1] * 4000] for i in range(n)]
        proof = {"scale": 1, "first": 1, "prices": [], "step": 1, "presence": runs}
    elif kind in ("configuration-prices", "exhaustive-search", "path-search"):
        instance = Instance(
            gpu=Gpu(kv_capacity=3000), arrival=[0] * 40, prompt=[9] * 40, output=[200] * 40
        )
        types = [[9 + j, 200 - j] for j in range(1, 201)]
        rounds = [{"first": 1, "last": 4000, "prices": [[0, *range(1, 201)]]}]
        proof = {"scale": 1, "types": types, "rounds": rounds}
        proof |= {} if kind == "configuration-prices" else {"value": 100}
    elif kind in ("equal-requests", "class-prices"):
        instance = Instance(
            gpu=Gpu(kv_capacity=6000), arrival=[0] * 40, prompt=[9] * 40, output=[200] * 40
        )
        proof = {"value": 10**6, "rounds": 5}
        if kind == "class-prices":
            weights = [[list(range(1, 201))]] * 200
            proof = {
                "scale": 1,
                "classes": [[9, 200]],
                "weights": weights,
                "multipliers": [[1]] * 200,
            }
    elif kind == "walk-prices":
        instance = make_instance("separate-random", seed=100, settings={"n": 120})
        first = int(instance.arrival.min())
        proof = {
            "scale": 1, "end": first + 9000, "prompt": [0] * 120, "kv": [[0, 9001]], "running": [],
        }  # fmt: skip
    elif kind == "walk-search":  # requests alike: batches beyond number, none of them kept
        gpu = Gpu(kv_capacity=2000)
        instance = Instance(gpu=gpu, arrival=[0] * 60, prompt=[3] * 60, output=[2] * 60)
        proof = {
            "scale": 1, "end": 150, "value": 130, "prompt": [0] * 60, "kv": [[0, 151]],
            "running": [],
        }  # fmt: skip
    elif kind == "separate-equal-requests":
        gpu = Gpu(kv_capacity=400, prompt_batch_requests=8)
        instance = Instance(gpu=gpu, arrival=[0] * 300, prompt=[20] * 300, output=[30] * 300)
        proof = {"batches": 4, "split": 0}
    elif kind == "waits-and-stalls":
        gpu = Gpu(kv_capacity=2000)
        instance = Instance(gpu=gpu, arrival=[0, 10**6], prompt=[3, 3], output=[2, 2])
        proof = {"memory": 2, "remembered": 2, "reach": 10**6}
    elif kind == "batch-length-prices":  # levels of one token in 2,000 intervals
        instance = make_instance("continuous-conversation", seed=1, settings={"n": 300})
        K = 2_000
        proof = {"interval": 50_000, "tokens": 1, "scale": 2**20, "request_share": [[]] * K}
        proof |= {name: [2**18] * K for name in ("gpu", "kv", "seat")}
        proof |= {name: [2**10] * K for name in ("seat_share", "token_share", "kv_share")}
    elif kind == "continuous-search":
        instance = Instance(
            gpu=Gpu(kv_capacity=200), arrival=range(9), prompt=range(20, 29), output=[30] * 9
        )
        proof = {"value": 400, "scale": 1, "cell": 1, "width": 1, "kv": [], "seat": []}
    elif kind == "relaxation":
        document, instance = hostile("batch-length-prices")
        gpu = Gpu(kv_capacity=instance.gpu.kv_capacity, batch_time=instance.gpu.batch_time)
        instance = instance.replace(gpu=gpu)
        proof = {"regime": "continuous", "proof": document["proof"]}
    elif kind == "deadline":
        document, instance = hostile("exhaustive-search")
        proof = {"value": 100, "proof": document["proof"]}
    elif kind in (inside := {
        "blocks": "exhaustive-search", "separate-blocks": "walk-search",
        "continuous-blocks": "batch-length-prices",
    }):  # fmt: skip
        document, instance = hostile(inside[kind])
        part = {"requests": list(range(instance.n)), "proof": document["proof"]}
        proof = {"parts": [part]}
    objective, model = PROOF_KINDS[kind].objectives[0], PROOF_KINDS[kind].model
    return claim(instance, objective, model, 1, {"kind": kind, **proof}), instance


@pytest.mark.parametrize("kind", sorted(set(PROOF_KINDS) - QUICK_KINDS))
def test_the_time_limit_holds_for_every_kind(kind):
    document, instance = hostile(kind)
    certificate = Certificate.from_record(document)
    verification = verify(certificate, instance, time_limit=1, replays=REPLAYS)
    assert verification.reason == "not verified within the time limit of 1 s"
    assert verification.seconds < 20  # compiled on the way


def test_combinatorial_bounds_take_no_longer_for_long_outputs():
    instance = Instance(
        gpu=Gpu(kv_capacity=2 * 10**9), arrival=[0, 5], prompt=[3, 1], output=[10**9, 4]
    )
    proof = {"kind": "combinatorial", "name": "KV area, mean busy time"}
    # B + o − μ of the long one alone: 10^9·(1/8 + 1 − 2/3), as p/M is 10^9/4.
    assert verdict(claim(instance, "latency", "mixed", 458_333_338, proof), instance) is None
    assert "gives 458333338" in verdict(
        claim(instance, "latency", "mixed", 458_333_339, proof), instance
    )


# ---------------------------------------------------------------- command line


def test_check_and_submit_refuse_forged_bounds(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["library", "get", "arrival-model-1-n8-s1", "--out", "entry"]) == 0
    entry = tmp_path / "entry"
    certificate = json.loads((entry / "certificate.json").read_text())
    value = certificate["bound"]
    forged = {"kind": "exhaustive-search", "value": 10**6, "scale": 1, "types": [], "rounds": []}
    for bound in (value, value + 1):
        bold = tmp_path / "bold.json"
        bold.write_text(json.dumps(certificate | {"bound": bound, "proof": forged}))
        words = ["check", str(entry / "instance.json"), str(entry / "solution.json")]
        assert run([*words, "--bound", str(bold)]) == 1
        assert "bound not verified" in capsys.readouterr().out
    # To hand in a bound it must be above the one that is known: of an open instance.
    assert run(["library", "get", "arrival-model-2-s1", "--out", "open"]) == 0
    certificate = json.loads((tmp_path / "open" / "certificate.json").read_text())
    bold.write_text(json.dumps(certificate | {"bound": certificate["bound"] + 1, "proof": forged}))
    capsys.readouterr()
    assert run(["library", "submit", "arrival-model-2-s1", "--bound", str(bold)]) == 2
    assert "bound: nothing is proved: there is a schedule" in capsys.readouterr().err
