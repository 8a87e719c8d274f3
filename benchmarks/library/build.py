"""Build the library: solve every instance, certify its bound, write catalogue and records.

    python benchmarks/library/build.py [SECONDS [NAME…]]

SECONDS per instance, 20 by default; records that are there are bettered, never worsened. Ctrl-C
keeps what is done.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

from contents import sources

from batchprophet.models.schedules import schedule_value
from batchprophet.solvers.bounds.configuration import configuration_prices
from batchprophet.solvers.bounds.memory_prices import memory_price_bound
from batchprophet.solvers.bounds.price_tables import price_table
from batchprophet.solvers.certificates.certificate import best_certificate
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.compact import compact
from batchprophet.solvers.certificates.configuration_prices import ConfigurationPriceProof
from batchprophet.solvers.certificates.exhaustive_search import ExhaustiveSearch
from batchprophet.solvers.certificates.memory_prices import MemoryPriceProof
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.certificates.waits_and_stalls import WaitsAndStallsProof
from batchprophet.solvers.certificates.walk_search import WalkSearch
from batchprophet.solvers.engine import MOST_EXHAUSTED
from batchprophet.solvers.exact.proof import prove
from batchprophet.solvers.hindsight import load_compiled_code, solve
from batchprophet.solvers.library.catalogue import DATA, write_catalogue
from batchprophet.solvers.library.entry import Entry, data_digest
from batchprophet.solvers.library.record import Record, read_record, write_record
from batchprophet.solvers.list_schedule import list_schedule
from batchprophet.solvers.replay import REPLAYS
from batchprophet.solvers.search.recipe import improve_schedule
from batchprophet.solvers.separate.hindsight import load_compiled_code as load_separate
from batchprophet.solvers.separate.hindsight import solve_separate

#: A proof that takes longer to verify is left out, for a weaker one.
LONGEST = 12.0

#: By how much the claim of a search may be made smaller.
WEAKER = (0, 2, 4, 6, 8)

#: Waits and stalls that are verified quickly.
QUICK = {"memory": 1, "remembered": 12, "reach": 288}

#: From so many requests on memory prices are computed here: `solve` may have no time for them.
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


def mixed_record(instance, seconds, known):
    if instance.n < LARGE:
        load_compiled_code(instance)
    warm = None if known is None else known.schedule
    if instance.n <= MOST_EXHAUSTED:
        return exhausted_record(instance, seconds, warm)
    solution = solve(instance, time_limit=seconds, warm_start=warm)
    certificates = []
    if solution.certificate is not None:
        certificates.append(compact(solution.certificate, instance))
    if instance.n >= LARGE:
        found = memory_price_bound(instance, schedule=solution.schedule, time_limit=seconds)
        proofs = [(found.value, MemoryPriceProof(prices=found.prices))]
        certificates.append(best_certificate(instance, "latency", proofs))
    certificates.sort(key=lambda each: each.bound, reverse=True)
    proof = next(each for each in certificates if _is_quick(each, instance))
    value = int(schedule_value(instance, solution.schedule, "latency"))
    return Record(
        value=value,
        bound=proof.bound,
        schedule=solution.schedule,
        proof=proof,
        schedule_by=solution.method.partition(";")[0],
        bound_by=proof.proof.kind,
    )


def exhausted_record(instance, seconds, warm):
    """Prices with work enough, then the exhaustive search alone: its proof has a verifier."""
    first = list_schedule(instance, instance.output) if warm is None else warm
    schedule = improve_schedule(instance, first, time_limit=0.0, work_limit=300_000)
    prices = configuration_prices(instance, schedule, work_limit=1_000)
    prices = configuration_prices(instance, schedule, begin=prices, work_limit=1_000)
    outcome = prove(instance, schedule, prices, time_limit=4 * seconds)
    found = ExhaustiveSearch(value=outcome.bound, table=price_table(instance, prices))
    proof = compact(best_certificate(instance, "latency", [(outcome.bound, found)]), instance)
    if not _is_quick(proof, instance):
        weaker = [(prices.bound, ConfigurationPriceProof(table=found.table))]
        proof = compact(best_certificate(instance, "latency", weaker), instance)
    return Record(
        value=int(schedule_value(instance, outcome.schedule, "latency")),
        bound=proof.bound,
        schedule=outcome.schedule,
        proof=proof,
        schedule_by="beams, annealing, exhaustive search",
        bound_by=proof.proof.kind,
    )


def _is_quick(certificate, instance):
    return verify(certificate, instance, time_limit=LONGEST, replays=REPLAYS).verified


def separate_record(instance, seconds, known):
    """The best certificate that is verified quickly."""
    load_separate()
    warm = None if known is None else known.schedule
    solution = solve_separate(instance, time_limit=seconds, warm_start=warm)
    quick = WaitsAndStallsProof(**QUICK)
    proofs = [(quick.bound(instance, "latency", Clock(None)), quick)]
    certificates = [best_certificate(instance, "latency", proofs), *_weaker(solution.certificate)]
    certificates.sort(key=lambda each: each.bound, reverse=True)
    proof = next(each for each in certificates if _is_quick(each, instance))
    return Record(
        value=int(solution.objective),
        bound=proof.bound,
        schedule=solution.schedule,
        proof=proof,
        schedule_by=solution.method.partition(";")[0],
        bound_by=proof.proof.kind,
    )


def _weaker(certificate):
    """The certificate; of a search also smaller claims, which are verified sooner."""
    if not isinstance(certificate.proof, WalkSearch):
        return [certificate]
    values = [certificate.bound - less for less in WEAKER]
    return [
        replace(certificate, bound=value, proof=replace(certificate.proof, value=value))
        for value in values
    ]


def best_of(record, known):
    """Take schedule and bound from whichever record has the better one."""
    if known is None:
        return record
    if known.value < record.value:
        better = {key: getattr(known, key) for key in ("value", "schedule", "schedule_by")}
        record = replace(record, **better)
    if known.bound >= record.bound:
        better = {key: getattr(known, key) for key in ("bound", "proof", "bound_by")}
        record = replace(record, **better)
    return record


def build(seconds, names):
    entries = [entry_of(*source) for source in sources()]
    for entry in entries:
        path = DATA / f"{entry.name}.json.zst"
        if entry.name not in names if names else path.exists():
            continue
        began = time.perf_counter()
        known = read_record(path) if path.exists() else None
        make = mixed_record if entry.model == "mixed" else separate_record
        record = best_of(make(entry.instance(), seconds, known), known)
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
    seconds, *names = sys.argv[1:] or ["20"]
    build(float(seconds), [str(Path(name)) for name in names])
