"""Equal requests: in step, periodic, and what `solve` finds and proves.

    python benchmarks/hindsight/equal_requests.py --time-limit 20 --random 6 --seed 2026
    python benchmarks/hindsight/equal_requests.py --time-limit 20 --model separate

Columns: s, o, M, n, rounds between arrivals; total latency of `mc-sf`, of one start every d rounds
for the best d, of the best schedule; the bound; the gap in per cent; seconds. Under separate
batching the limits and batch times come before n, and in place of the two policies the one of
`POLICIES` with the least latency.
"""

from __future__ import annotations

import argparse

import numpy as np

import batchprophet as bp
from batchprophet import ConstantTime

#: s, o, M, n, rounds between arrivals.
ROWS = (
    (8, 40, 144, 12, 0),
    (8, 40, 144, 20, 0),
    (8, 40, 144, 40, 0),
    (8, 40, 144, 200, 0),
    (8, 40, 144, 100, 9),
    (50, 50, 1000, 200, 0),
    (50, 50, 1000, 100, 3),
    (1, 60, 1000, 300, 0),
)


#: s, o, M, B_P, B_D, τ_P, τ_D, n, slots between arrivals; 0: none.
SEPARATE = (
    (20, 30, 400, 8, 16, 3, 1, 80, 2),
    (20, 30, 400, 8, 16, 3, 1, 80, 0),
    (20, 30, 400, 8, 16, 3, 1, 80, 4),
)

#: Policies of separate batching that are tried.
POLICIES = ("prefill-first", "full-prompt-batch", "shortest-remaining", "threshold")


def drawn(rng: np.random.Generator) -> tuple[int, int, int, int, int]:
    """Draw s, o, M (2 to 8 peaks), n, and arrivals at 0 or about as fast as KV areas allow."""
    s, o = int(rng.integers(1, 60)), int(rng.integers(5, 60))
    M = int((s + o) * rng.uniform(2, 8))
    each = (s * o + o * (o + 1) // 2) / M
    every = 0 if rng.random() < 0.5 else max(1, round(each * rng.uniform(0.8, 1.1)))
    return s, o, M, int(rng.integers(20, 200)), every


def periodic(s: int, o: int, M: int, n: int, every: int) -> int:
    """Total latency of one start every d rounds, for the least feasible d."""
    d = 1
    while sum(s + o - j * d for j in range(-(-o // d))) > M:
        d += 1
    return n * o + max(0, d - every) * n * (n - 1) // 2


def row(s: int, o: int, M: int, n: int, every: int, limit: float) -> list[object]:
    arrival = every * np.arange(n)
    instance = bp.Instance(
        gpu=bp.Gpu(kv_capacity=M), arrival=arrival, prompt=[s] * n, output=[o] * n
    )
    in_step = bp.simulate(instance, "mc-sf").metrics.total_latency
    found = bp.solve(instance, time_limit=limit).solution
    known, bound = int(found.objective), int(found.lower_bound or 0)
    gap = f"{100 * (known - bound) / known:.2f}"
    best = periodic(s, o, M, n, every)
    return [s, o, M, n, every, in_step, best, known, bound, gap, f"{found.seconds:.1f}"]


def separate_row(
    s: int, o: int, M: int, B_P: int, B_D: int, prompt: int, token: int, n: int, every: int,
    limit: float,
) -> list[object]:  # fmt: skip
    instance = bp.Instance(
        gpu=bp.Gpu(
            kv_capacity=M,
            prompt_batch_requests=B_P,
            token_batch_requests=B_D,
            batch_time=ConstantTime(prompt=prompt, token=token),
        ),
        arrival=every * np.arange(n),
        prompt=[s] * n,
        output=[o] * n,
    )
    policies = (bp.simulate(instance, policy, model="separate") for policy in POLICIES)
    policy = min(run.metrics.total_latency for run in policies)
    found = bp.solve(instance, model="separate", time_limit=limit).solution
    known, bound = int(found.objective), int(found.lower_bound or 0)
    gap = f"{100 * (known - bound) / known:.2f}"
    return [s, o, M, B_P, B_D, prompt, token, n, every, policy, known, bound, gap, found.seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each instance")
    parser.add_argument("--random", type=int, default=0, help="instances drawn, after the fixed")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--model", choices=("mixed", "separate"), default="mixed")
    options = parser.parse_args()
    if options.model == "separate":
        for each in SEPARATE:
            print(*separate_row(*each, options.time_limit), sep="\t", flush=True)
        return
    rng = np.random.default_rng(options.seed)
    for each in (*ROWS, *(drawn(rng) for _ in range(options.random))):
        print(*row(*each, options.time_limit), sep="\t", flush=True)


if __name__ == "__main__":
    main()
