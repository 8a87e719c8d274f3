"""What can be had without output lengths in mixed batching: small instances exactly, then more.

    python benchmarks/coupling/untold.py --small
    python benchmarks/coupling/untold.py --seeds 100 149
    python benchmarks/coupling/untold.py --seeds 100 149 --fluid

With `--small`: n prompts of one token at 0, lengths o ~ U{1 .. M − 1}. The expected total latency
of the best policy that knows this law but no length (dynamic programming) and of policies, each
over the expected optimum of hindsight; all lengths are gone through, nothing is sampled.

With `--seeds`: arrival model 2. Mean ratio of the latency to that of `mc-sf` with exact lengths,
with a 95 % interval, and the largest. `--fluid` takes the same requests for a server that serves
M token-rounds of KV area per round, one request at a time, and pauses at no cost: total latency by
the Gittins index of the law o ~ U{1 .. M − s} over that of the least remaining area. With all there
at 0 both are optimal, the first without lengths (Sevcik 1974), the second with them (SRPT).
"""

from __future__ import annotations

import argparse
import heapq
from collections import Counter
from functools import cache
from itertools import combinations_with_replacement, permutations

import numpy as np

from batchprophet.models import Gpu, Instance, total_latency
from batchprophet.models.families import make_instance
from batchprophet.online import GittinsIndex
from batchprophet.online.mixed import NonClairvoyantOptimum, simulate
from batchprophet.solvers import solve

SIZES = [(2, 6), (3, 6), (4, 6), (3, 8), (3, 10)]
UNTOLD = [
    "least-lost",
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


def large(policies: list[str], seeds: range) -> None:
    print("| policy | to `mc-sf`, told | largest |")
    print("|---|---|---|")
    instances = {s: make_instance("arrival-model-2", seed=s, settings={}) for s in seeds}
    told = {s: latency(instance, "mc-sf", s) for s, instance in instances.items()}
    for policy in policies:
        ratio = np.array([latency(instances[s], policy, s) / told[s] for s in seeds])
        half = 1.96 * ratio.std(ddof=1) / len(ratio) ** 0.5
        print(f"| `{policy}` | {ratio.mean():.3f} ± {half:.3f} | {ratio.max():.3f} |")


@cache
def ranks(s: int, L: int) -> list[float]:
    """Gittins ranks by tokens so far, in KV area, of a prompt with o ~ U{1 .. L}."""
    o = np.arange(1, L + 1)
    index = GittinsIndex(s * o + o * (o + 1) // 2)
    return [index.rank(s * g + g * (g + 1) // 2) for g in range(L)]


def fluid_latency(instance: Instance, arrival: list[int], *, told: bool) -> float:
    """Total latency on one server of speed M that pauses at no cost, token by token."""
    M, t, total = instance.gpu.kv_capacity, 0.0, 0.0
    prompt, output = instance.prompt.tolist(), instance.output.tolist()
    area = instance.volume.tolist()
    to_come = sorted(range(instance.n), key=lambda i: -arrival[i])
    ready: list[tuple[float, int, int]] = []  # priority, request, tokens so far

    def push(i: int, g: int) -> None:
        s = prompt[i]
        left = area[i] - s * g - g * (g + 1) // 2
        heapq.heappush(ready, (left if told else ranks(s, M - s)[g], i, g))

    while ready or to_come:
        if not ready:
            t = max(t, arrival[to_come[-1]])
        while to_come and arrival[to_come[-1]] <= t:
            push(to_come.pop(), 0)
        _, i, g = heapq.heappop(ready)
        t += (prompt[i] + g + 1) / M
        if g + 1 == output[i]:
            total += t - arrival[i]
        else:
            push(i, g + 1)
    return total


def fluid(seeds: range) -> None:
    print("| arrivals | Gittins over SRPT |")
    print("|---|---|")
    for name, scale in (("all at 0", 0), ("as they are", 1)):
        ratio = []
        for s in seeds:
            instance = make_instance("arrival-model-2", seed=s, settings={})
            arrival = (scale * instance.arrival).tolist()
            untold, told = (fluid_latency(instance, arrival, told=x) for x in (False, True))
            ratio.append(untold / told)
        half = 1.96 * np.std(ratio, ddof=1) / len(ratio) ** 0.5
        print(f"| {name} | {np.mean(ratio):.3f} ± {half:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="exact, on small instances")
    parser.add_argument("--seeds", type=int, nargs=2, help="arrival model 2, first and last seed")
    parser.add_argument("--fluid", action="store_true", help="with --seeds: pauses at no cost")
    parser.add_argument("--policies", nargs="+", default=UNTOLD)
    options = parser.parse_args()
    if options.small:
        small(options.policies)
    if options.seeds and options.fluid:
        fluid(range(options.seeds[0], options.seeds[1] + 1))
    elif options.seeds:
        large(options.policies, range(options.seeds[0], options.seeds[1] + 1))


if __name__ == "__main__":
    main()
