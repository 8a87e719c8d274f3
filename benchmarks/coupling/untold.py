"""What can be had without output lengths in mixed batching: small instances exactly, then more.

    python benchmarks/coupling/untold.py --small
    python benchmarks/coupling/untold.py --seeds 100 149

With `--small`: n prompts of one token at 0, lengths o ~ U{1 .. M − 1}. The expected total latency
of the best policy that knows this law but no length (dynamic programming) and of policies, each
over the expected optimum of hindsight; all lengths are gone through, nothing is sampled.

With `--seeds`: arrival model 2. Mean ratio of the latency to that of `mc-sf` with exact lengths,
with a 95 % interval, and the largest; with `--best FILE`, lines of seed and the total latency of
the best schedule known, to that as well.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from itertools import combinations_with_replacement, permutations
from pathlib import Path

import numpy as np

from batchprophet.models import Gpu, Instance, total_latency
from batchprophet.models.families import make_instance
from batchprophet.online.mixed import simulate
from batchprophet.online.mixed.non_clairvoyant import NonClairvoyantOptimum
from batchprophet.solvers import solve

SIZES = [(2, 6), (3, 6), (3, 8), (3, 10), (4, 6), (4, 8), (5, 7)]
UNTOLD = [
    "a-min",
    "gittins:law=arrival-model-2",
    "gittins",
    "vllm",
    "flow-control",
    "nested-wait",
    "mlfq",
    "gsa",
]


def latency(instance: Instance, policy: str, seed: int = 0) -> int:
    schedule = simulate(instance, policy, seed=seed)
    return int(total_latency(instance, schedule.completion(instance)))


def instance_of(lengths: tuple[int, ...], M: int) -> Instance:
    n = len(lengths)
    return Instance(gpu=Gpu(kv_capacity=M), arrival=[0] * n, prompt=[1] * n, output=lengths)


def optimum(instance: Instance) -> int:
    solution = solve(instance, threads=1)
    if solution.status != "optimal":
        raise SystemExit(f"{instance.output.tolist()}: not solved to the end")
    return int(solution.objective)


def small(policies: list[str]) -> None:
    print("| n | M | best untold | " + " | ".join(f"`{policy}`" for policy in policies) + " |")
    print("|---" * (3 + len(policies)) + "|")
    for n, M in SIZES:
        L = M - 1
        best = NonClairvoyantOptimum(n=n, prompt=1, law=[1 / L] * L, kv_capacity=M).value
        hindsight, sums = 0.0, np.zeros(len(policies))
        for lengths in combinations_with_replacement(range(1, L + 1), n):
            orders = Counter(permutations(lengths))
            hindsight += len(orders) * optimum(instance_of(lengths, M))
            for order in orders:
                instance = instance_of(order, M)
                sums += [latency(instance, policy) for policy in policies]
        cells = [best * L**n / hindsight, *(sums / hindsight)]
        print(f"| {n} | {M} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |", flush=True)


def large(policies: list[str], seeds: range, best: dict[int, float]) -> None:
    print("| policy | to `mc-sf`, told | largest | to the best known |")
    print("|---|---|---|---|")
    instances = {s: make_instance("arrival-model-2", seed=s, settings={}) for s in seeds}
    told = {s: latency(instance, "mc-sf", s) for s, instance in instances.items()}
    for policy in policies:
        values = {s: latency(instance, policy, s) for s, instance in instances.items()}
        print(f"| `{policy}` | {ratios(values, told)} | {ratios(values, best) if best else ''} |")
    if best:
        print(f"| `mc-sf`, told | 1 | | {ratios(told, best)} |")


def ratios(values: dict[int, int], base: dict[int, float]) -> str:
    ratio = np.array([values[s] / base[s] for s in values])
    half = 1.96 * ratio.std(ddof=1) / len(ratio) ** 0.5
    return f"{ratio.mean():.3f} ± {half:.3f} | {ratio.max():.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="exact, on small instances")
    parser.add_argument("--seeds", type=int, nargs=2, help="arrival model 2, first and last seed")
    parser.add_argument("--best", type=Path, help="CSV of seed and best known total latency")
    parser.add_argument("--policies", nargs="+", default=UNTOLD)
    options = parser.parse_args()
    if options.small:
        small(options.policies)
    if options.seeds:
        best = {}
        if options.best:
            with options.best.open(newline="") as file:
                best = {int(row[0]): float(row[1]) for row in csv.reader(file)}
        first, last = options.seeds
        large(options.policies, range(first, last + 1), best)


if __name__ == "__main__":
    main()
