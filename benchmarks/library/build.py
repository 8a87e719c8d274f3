"""Build the library: solve every instance, certify its bound, write catalogue and records.

    python benchmarks/library/build.py [SECONDS [NAME…]]

SECONDS per instance, 300 by default; records that are there are improved, never worsened. Ctrl-C
keeps what is done. Where the best proof takes long to verify, the record has a quick one beside it.
"""

import math
import sys
import time
from dataclasses import replace
from pathlib import Path

from contents import sources

from batchprophet.models import schedule_value
from batchprophet.models.mixed import MixedSchedule
from batchprophet.models.separate import SeparateSchedule
from batchprophet.solvers import REPLAYS, solve
from batchprophet.solvers.certificates import Clock, best_certificate, verify
from batchprophet.solvers.certificates.mixed import (
    ConfigurationPriceProof,
    ExhaustiveSearch,
    MemoryPriceProof,
    PathSearch,
)
from batchprophet.solvers.certificates.mixed.compact import compact
from batchprophet.solvers.certificates.separate import WaitsAndStallsProof, WalkSearch
from batchprophet.solvers.library import (
    DATA,
    Entry,
    Made,
    Record,
    data_digest,
    read_record,
    write_catalogue,
    write_record,
)
from batchprophet.solvers.mixed.bounds import knapsack_price_bound, memory_price_bound
from batchprophet.solvers.regimes import recipe

#: Seconds that a quick proof takes to verify at most, and any proof.
QUICK, LONGEST = 25.0, 900.0

#: By how much the claim of a search is made smaller, in parts of it, until it is verified in time.
WEAKER = (0.005, 0.01, 0.02, 0.03)

#: Waits and stalls that are verified quickly.
QUICK_WAITS = {"memory": 1, "remembered": 12, "reach": 288}

#: What belongs together in a record.
OF_SCHEDULE = ("value", "schedule", "schedule_by", "schedule_made")
OF_BOUND = ("bound", "proof", "quick", "bound_by", "bound_made")

#: From this many requests on, memory prices are computed here: `solve` may lack the time.
LARGE = 1000


def entry_of(name, source, group, model):
    """Make an entry; its digest is that of the instance made now."""
    drawn = {key: source[key] for key in ("family", "seed", "settings") if key in source}
    draft = Entry(
        name=name,
        model=model,
        group=group,
        source=drawn or {"requests": source["requests"]},
        n=1,
        kv_capacity=source.get("kv_capacity", 2),
        digest="",
    )
    instance = draft._make()
    M = int(instance.gpu.kv_capacity)
    return replace(draft, n=instance.n, kv_capacity=M, digest=data_digest(instance))


def record_of(entry, seconds, known):
    """Solve an instance; keep the strongest proof, and a quick one where that takes long."""
    instance = entry.instance()
    warm = None if known is None else known.schedule
    if entry.model != "mixed" or instance.n < LARGE:
        recipe(entry.model).load(instance)
    solution = solve(instance, model=entry.model, time_limit=seconds, warm_start=warm)
    made = Made.now(f"solve --model {entry.model} --time-limit {seconds:g}")
    return with_proofs(instance, solution.schedule, solution.method, solution.certificate, made)


def with_proofs(instance, schedule, method, certificate, made):
    """Make a record of a schedule and a certificate, verified as far as it goes."""
    known = [*([] if certificate is None else _with_a_verifier(certificate, instance))]
    known += _others(instance, schedule)
    proofs = [less for each in known for less in _weaker(each, instance)]
    proofs.sort(key=lambda each: -each.bound)
    strong = next(each for each in proofs if _is_verified(each, instance, LONGEST))
    quick = next(
        each for each in proofs[proofs.index(strong) :] if _is_verified(each, instance, QUICK)
    )
    return Record(
        value=int(schedule_value(instance, schedule, "latency")),
        bound=strong.bound,
        schedule=schedule,
        proof=strong,
        quick=None if quick is strong else quick,
        schedule_by=method.partition(";")[0],
        bound_by=strong.proof.kind,
        schedule_made=made,
        bound_made=made,
    )


def _with_a_verifier(certificate, instance):
    """The certificate, small; a claim by path graphs also as one that is verified independently."""
    small = compact(certificate, instance)
    yield small
    if isinstance(small.proof, PathSearch) and ExhaustiveSearch.takes(instance):
        proof = ExhaustiveSearch(value=small.proof.value, table=small.proof.table)
        yield replace(small, proof=proof)


def _others(instance, schedule):
    """Proofs that `solve` may have had no time for."""
    if isinstance(schedule, MixedSchedule):
        if instance.n < LARGE:
            return []
        found = memory_price_bound(instance, schedule=schedule, blocks=2**16, time_limit=300.0)
        proofs = [(found.value, MemoryPriceProof(prices=found.prices))]
        whole = knapsack_price_bound(instance, found.prices, time_limit=300.0)
        if whole is not None:
            proofs.append((whole.value, whole.proof))
        return [best_certificate(instance, "latency", proofs)]
    if not isinstance(schedule, SeparateSchedule):
        return []
    quick = WaitsAndStallsProof(**QUICK_WAITS)
    bound = quick.bound(instance, "latency", Clock(None))
    return [best_certificate(instance, "latency", [(bound, quick)])]


def _weaker(certificate, instance):
    """The certificate; of a search also smaller claims and its prices, verified sooner."""
    yield certificate
    proof = certificate.proof
    if isinstance(proof, WalkSearch | ExhaustiveSearch):
        for part in WEAKER:
            value = math.floor((1 - part) * certificate.bound)
            yield replace(certificate, bound=value, proof=replace(proof, value=value))
    if isinstance(proof, ExhaustiveSearch | PathSearch):
        prices = ConfigurationPriceProof(table=proof.table)
        bound = prices.bound(instance, "latency", Clock(None))
        yield best_certificate(instance, "latency", [(bound, prices)])


def _is_verified(certificate, instance, seconds):
    return verify(certificate, instance, time_limit=seconds, replays=REPLAYS).verified


def best_of(record, known):
    """Take schedule and bound from whichever record has the better one."""
    if known is None:
        return record
    if known.value <= record.value:
        record = replace(record, **{key: getattr(known, key) for key in OF_SCHEDULE})
    if known.bound >= record.bound:
        record = replace(record, **{key: getattr(known, key) for key in OF_BOUND})
    return record


def build(seconds, names):
    entries = [entry_of(*source) for source in sources()]
    for entry in entries:
        path = DATA / f"{entry.name}.json.zst"
        if entry.name not in names if names else path.exists():
            continue
        began = time.perf_counter()
        known = read_record(path) if path.exists() else None
        record = best_of(record_of(entry, seconds, known), known)
        write_record(record, path)
        took = time.perf_counter() - began
        size = path.stat().st_size
        print(
            f"{entry.name} n={entry.n} {record.bound} <= opt <= {record.value} gap {record.gap:.2%}"
            f" {record.bound_by} {size:,} bytes {took:.0f} s",
            flush=True,
        )
        write_catalogue([e for e in entries if (DATA / f"{e.name}.json.zst").exists()], DATA)


if __name__ == "__main__":
    seconds, *names = sys.argv[1:] or ["300"]
    build(float(seconds), [str(Path(name)) for name in names])
