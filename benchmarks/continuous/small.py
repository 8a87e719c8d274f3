"""How many small instances the exhaustive search of continuous batching proves, and their proofs.

    python -m benchmarks.continuous.small [--count 10] [--seconds 60] [--chunks] [--no-verify]

The family: 8 requests, prompts and outputs of 10 to 30 tokens, arrivals uniform over the time of 44
empty batches, batch times as measured on an H100, an A100, an RTX 4090 and an A800 in turn (with
coefficients in whole microseconds: then durations are never rounded), 4 to 6 seats, no token
budget, prompts read whole (in chunks with ``--chunks``). KV memory is 90 % of what the best list
schedule without a limit on it holds at most, so that it binds. Seconds are CPU seconds of the whole
process, without compilation.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import numpy as np

from batchprophet.models import AffineTime, Gpu, Instance, schedule_value
from batchprophet.models.continuous import MEASURED, ContinuousSchedule
from batchprophet.solvers.certificates import Clock, NotProved
from batchprophet.solvers.certificates.continuous import ContinuousSearch
from batchprophet.solvers.continuous.exact import SCALE
from batchprophet.solvers.continuous.exact.first_schedule import first_schedule
from batchprophet.solvers.continuous.exact.search import Outcome, search

#: Measured laws, one after the other.
GPUS = ("h100", "a100", "rtx-4090", "a800")

#: Requests, least and most tokens of a side, arrivals in empty batches, share of the KV needed.
N, LEAST, MOST, SPAN, SHARE = 8, 10, 30, 44, 0.9


def instance_of(seed: int, *, chunks: bool = False, n: int = N, most: int = MOST) -> Instance:
    """The instance of a seed; `n` requests of up to `most` tokens a side."""
    rng = np.random.default_rng([88, seed])
    law = whole(MEASURED[GPUS[seed % len(GPUS)]].law)
    least = min(LEAST, most // 3)
    prompt, output = rng.integers(least, most + 1, (2, n))
    span = int(1000 * law.c0 * SPAN * (least + most) / (LEAST + MOST))
    arrival = np.sort(rng.integers(0, span + 1, n))
    gpu = Gpu(
        kv_capacity=int((prompt + output).sum()),
        running_requests=int(rng.integers((n + 1) // 2, max(n - 1, (n + 1) // 2 + 1))),
        chunked_prefill=chunks,
        batch_time=law,
    )
    free = Instance(gpu=gpu, arrival=arrival - arrival[0], prompt=prompt, output=output)
    held = most_held(free, first_schedule(free, "latency")[0])
    capacity = max(int(SHARE * held), int((prompt + output).max()))
    return free.replace(gpu=dataclasses.replace(gpu, kv_capacity=capacity))


def whole(law: AffineTime) -> AffineTime:
    """The law with coefficients in whole microseconds."""
    c0, c1, c2, c3 = (round(c, 3) for c in (law.c0, law.c1, law.c2, law.c3))
    return AffineTime(c0=c0, c1=c1, c2=c2, c3=c3)


def most_held(instance: Instance, schedule: ContinuousSchedule) -> int:
    """Most KV tokens at the end of a batch, of a schedule without preemption."""
    cache, emitted = np.zeros((2, instance.n), dtype=np.int64)
    largest = 0
    for batch in schedule.batches:
        for i, p in batch.prefill:
            cache[i] += p
            emitted[i] += cache[i] == instance.prompt[i]
        for i in batch.decode:
            cache[i] += 1
            emitted[i] += 1
        largest = max(largest, int(cache.sum()))
        cache[emitted == instance.output] = 0
    return largest


def proof_of(outcome: Outcome) -> ContinuousSearch:
    """The proof of what a search came to."""
    prices = outcome.prices
    return ContinuousSearch(
        value=int(outcome.bound),
        scale=SCALE,
        cell=prices.cell,
        width=prices.width,
        kv=tuple(prices.block.tolist()),
        seat=tuple(prices.seat.tolist()),
    )


def run(seed: int, seconds: float, *, chunks: bool, verified: bool) -> tuple[bool, str]:
    """Whether an instance is proved, and a row of the table."""
    instance = instance_of(seed, chunks=chunks)
    known = first_schedule(instance, "latency")[1]
    began = time.process_time()
    outcome = search(instance, stop=lambda: time.process_time() - began >= seconds)
    taken = time.process_time() - began
    best = known
    if outcome.schedule is not None:
        best = schedule_value(instance, outcome.schedule, "latency")
    cells = [str(seed), GPUS[seed % len(GPUS)], str(instance.gpu.kv_capacity)]
    cells += [f"{known / 1000:.1f}", f"{best / 1000:.1f}", f"{outcome.bound / 1000:.1f}"]
    cells += ["yes" if outcome.proved else f"{100 * (best / outcome.bound - 1):.2f} %"]
    cells += [f"{taken:.1f}", str(outcome.expanded)]
    if verified and outcome.proved:
        began = time.process_time()
        try:
            with Clock(600) as clock:
                proof_of(outcome).bound(instance, "latency", clock)
            cells.append(f"{time.process_time() - began:.1f}")
        except NotProved as error:
            cells.append(str(error))
    else:
        cells.append("–")
    return outcome.proved, "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--chunks", action="store_true", help="prompts may be read in chunks")
    parser.add_argument("--no-verify", action="store_true")
    given = parser.parse_args()
    tiny = instance_of(0, chunks=given.chunks, n=3, most=6)  # compiles
    with Clock(None) as clock:
        proof_of(search(tiny)).bound(tiny, "latency", clock)
    print("| seed | law | KV | first list, ms | best, ms | bound, ms | proved | CPU s | states | ")
    proved = 0
    for seed in range(given.count):
        done, row = run(seed, given.seconds, chunks=given.chunks, verified=not given.no_verify)
        proved += done
        print(row, flush=True)
    print(f"{proved} of {given.count} proved")


if __name__ == "__main__":
    main()
