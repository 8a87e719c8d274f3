"""How good the schedules are that search finds, side by side with greedy and plain annealing.

    python benchmarks/hindsight/schedules.py published [--seeds 100-129] [--seconds 30]
    python benchmarks/hindsight/schedules.py tiny [--instances 300]
    python benchmarks/hindsight/schedules.py traces [--seconds 60] [--only 'M 65536'] [--trace …csv]

`published`: the arrival models of arXiv 2502.07115; total latency of the best list schedule, of a
plain annealer (a million list schedules, each decoded from scratch), and of the search after a
sixth of its time and at its end; ratios to the plain annealer's. `tiny`: share of instances of up
to 7 requests in which the search finds the optimum (by exhaustive search). `traces`: windows of
the Azure conversation trace, lognormal bursts, and lognormal lengths with arrivals at a uniform
rate (load = KV area arriving per round / M); improvement over the best list schedule after a sixth,
a half and all of the time, and the gap to the bound by memory prices (with its own seconds).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numba import njit

from batchprophet.models import Gpu, Instance, total_latency
from batchprophet.models.families import make_instance
from batchprophet.models.mixed import MixedSchedule, check_mixed
from batchprophet.models.traces import convert_trace
from batchprophet.solvers.mixed.bounds import memory_price_bound
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.search import (
    add_run,
    earliest_start,
    greedy_starts,
    improve_schedule,
)

ROOT = Path(__file__).resolve().parents[2]
TRACE = ROOT.parent / "shared/data/traces/azure2023_conv.csv"

#: Requests, KV capacity and load of instances with lognormal lengths.
ARRIVING = (
    (1000, 16_492, 1.0),
    (1000, 16_492, 1.5),
    (20_000, 400_000, 1.2),
    (20_000, 16_000, 1.2),
)


def latency(instance: Instance, schedule: MixedSchedule) -> int:
    assert not check_mixed(instance, schedule)
    return total_latency(instance, schedule.completion(instance))


def best_greedy(instance: Instance) -> MixedSchedule:
    return MixedSchedule(min(greedy_starts(instance), key=lambda start: int(start.sum())))


def searched(instance: Instance, seconds: float, marks: list[float], seed: int = 0) -> list[int]:
    """Total latency of the search's best schedule at each mark (seconds since its begin)."""
    given = list_schedule(instance, instance.output)
    told = [(0.0, latency(instance, given))]
    began = time.perf_counter()
    improve_schedule(
        instance,
        given,
        time_limit=seconds,
        seed=seed,
        found=lambda _, value: told.append((time.perf_counter() - began, value)),
    )
    return [min(value for when, value in told if when <= mark) for mark in marks]


@njit(cache=True)
def decoded(order, a, s, o, M, held, start):
    """Σ starts of the serial list schedule: each request at its earliest feasible start."""
    held[:] = 0
    total = 0
    for i in order:
        k = earliest_start(held, M, s[i], o[i], a[i])
        add_run(held, s[i], o[i], k)
        start[i] = k
        total += k
    return total


@njit(cache=True)
def plain_annealing(order, a, s, o, M, H, iterations, hot, cold, seed):
    """Anneal over orders by swaps and inserts, every candidate decoded from scratch."""
    np.random.seed(seed)  # noqa: NPY002 - the only generator of compiled code
    n = order.size
    held, start = np.zeros(H, np.int64), np.zeros(n, np.int64)
    cost = decoded(order, a, s, o, M, held, start)
    best, best_start = cost, start.copy()
    for step in range(iterations):
        temperature = hot * (cold / hot) ** (step / iterations)
        candidate = order.copy()
        i, j = np.random.randint(n), np.random.randint(n)  # noqa: NPY002
        if np.random.random() < 0.5:  # noqa: NPY002
            candidate[i], candidate[j] = order[j], order[i]
        else:
            low, high = min(i, j), max(i, j)
            if i < j:
                candidate[low:high] = order[low + 1 : high + 1]
            else:
                candidate[low + 1 : high + 1] = order[low:high]
            candidate[j] = order[i]
        value = decoded(candidate, a, s, o, M, held, start)
        if value <= cost or np.random.random() < np.exp((cost - value) / temperature):  # noqa: NPY002
            order, cost = candidate, value
            if cost < best:
                best, best_start = cost, start.copy()
    return best_start


def plain(instance: Instance, iterations: int, seed: int = 0) -> tuple[int, float]:
    greedy = best_greedy(instance)
    H = int(instance.arrival.max() + instance.output.sum()) + 2
    mean = float(instance.output.mean())
    began = time.perf_counter()
    start = plain_annealing(
        np.argsort(greedy.start, kind="stable"),
        instance.arrival.copy(),
        instance.prompt.copy(),
        instance.output.copy(),
        instance.gpu.kv_capacity,
        H,
        iterations,
        2 * mean,
        0.05 * mean,
        seed,
    )
    return latency(instance, MixedSchedule(start)), time.perf_counter() - began


def published(arguments: argparse.Namespace) -> None:
    first, last = map(int, arguments.seeds.split("-"))
    seconds = arguments.seconds
    marks = [seconds / 6, seconds]
    print(f"{'model':>5} {'seed':>5} {'n':>3} {'M':>3} {'greedy':>7} {'plain':>7} {'s':>6} "
          f"{f'{marks[0]:g} s':>7} {f'{marks[1]:g} s':>7} {'greedy':>7} {'early':>7} {'end':>7}"
          "  (ratios to plain)")  # fmt: skip
    plain(make_instance("arrival-model-1", seed=0), 10)
    searched(make_instance("arrival-model-1", seed=0), 1, [1])
    ratios = []
    for model in (1, 2):
        for seed in range(first, last + 1):
            instance = make_instance(f"arrival-model-{model}", seed=seed)
            greedy = latency(instance, best_greedy(instance))
            base, took = plain(instance, arguments.iterations)
            values = searched(instance, seconds, marks)
            ratio = [value / base for value in (greedy, *values)]
            ratios.append(ratio)
            print(f"{model:>5} {seed:>5} {instance.n:>3} {instance.gpu.kv_capacity:>3} "
                  f"{greedy:>7} {base:>7} {took:>6.1f} {values[0]:>7} {values[1]:>7} "
                  f"{ratio[0]:>7.4f} {ratio[1]:>7.4f} {ratio[2]:>7.4f}", flush=True)  # fmt: skip
    table = np.array(ratios)
    print("mean ratios to plain:", *table.mean(axis=0).round(4))
    print("worst ratios to plain:", *table.max(axis=0).round(4))
    for name, column in (("early", 1), ("end", 2)):
        print(f"{name}: at least as good as plain on {(table[:, column] <= 1).sum()} of "
              f"{len(table)}")  # fmt: skip


def tiny(arguments: argparse.Namespace) -> None:
    sys.path.insert(0, str(ROOT))
    from tests.brute_force import brute_force

    rng = np.random.default_rng(0)
    optimal = 0
    for seed in range(arguments.instances):
        M, n = int(rng.integers(6, 14)), int(rng.integers(3, 8))
        s = rng.integers(1, max(2, M // 2), n)
        o = rng.integers(1, M - s, endpoint=True)
        a = rng.integers(0, int(rng.integers(1, 6)), n)
        instance = Instance(gpu=Gpu(kv_capacity=M), arrival=a, prompt=s, output=o)
        given = list_schedule(instance, instance.output)
        value = latency(
            instance, improve_schedule(instance, given, time_limit=0, work_limit=300_000, seed=seed)
        )
        optimum = brute_force(instance)[0]
        assert value >= optimum
        optimal += value == optimum
    print(f"tiny: optimal in {optimal} of {arguments.instances}")


def traces(arguments: argparse.Namespace) -> None:
    marks = [arguments.seconds / 6, arguments.seconds / 2, arguments.seconds]
    cases = [
        (f"lognormal burst, n {n}, M {M}",
         make_instance("lognormal-burst", seed=100, settings={"n": n, "kv_capacity": M}))
        for n, M in ((1000, 16_384), (1000, 65_536), (20_000, 400_000))
    ]  # fmt: skip
    if Path(arguments.trace).exists():
        cases += [
            (f"conversation, load {load:g}, M {M}", window(arguments.trace, M, load))
            for M in (65_536, 16_384)
            for load in (1.0, 1.5)
        ]
    cases += [
        (f"lognormal, load {load:g}, n {n}, M {M}", arriving(n, M, load)) for n, M, load in ARRIVING
    ]
    cases = [case for case in cases if arguments.only in case[0]]
    searched(make_instance("lognormal-burst", settings={"n": 400}), 1, [1])
    for name, instance in cases:
        greedy = latency(instance, best_greedy(instance))
        values = searched(instance, marks[-1], marks)
        gains = ", ".join(
            f"{mark:g} s {1 - value / greedy:.2%}"
            for mark, value in zip(marks, values, strict=True)
        )
        bound = memory_price_bound(instance, time_limit=arguments.seconds)
        print(f"{name}: greedy {greedy}, search {values[-1]}; below greedy by {gains}; "
              f"bound {float(bound.value):.0f} ({bound.seconds:.1f} s), "
              f"gap {1 - float(bound.value) / values[-1]:.2%}", flush=True)  # fmt: skip


def arriving(n: int, M: int, load: float, seed: int = 100) -> Instance:
    """Lognormal lengths as in the bursts; arrivals uniform over Σ p / (M·load) rounds."""
    burst = make_instance("lognormal-burst", seed=seed, settings={"n": n, "kv_capacity": M})
    rounds = float(burst.volume.sum()) / (M * load)
    arrival = np.sort(np.random.default_rng(seed).uniform(0, rounds, n)).astype(np.int64)
    return burst.replace(arrival=arrival - arrival.min())


def window(path: str, M: int, load: float) -> Instance:
    return convert_trace(
        path, round_ms=50, kv_capacity=M, count=1000, load=load, oversize="drop"
    ).instance


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("published", "tiny", "traces"))
    parser.add_argument("--seeds", default="100-129")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--iterations", type=int, default=1_000_000)
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--only", default="", help="traces: cases whose name contains this")
    parser.add_argument("--trace", default=str(TRACE))
    chosen = parser.parse_args()
    {"published": published, "tiny": tiny, "traces": traces}[chosen.what](chosen)
