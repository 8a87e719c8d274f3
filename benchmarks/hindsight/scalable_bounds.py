"""Where the gap on large instances comes from: bounds by name, best list schedule, seconds.

    python benchmarks/hindsight/scalable_bounds.py [--blocks N] [--steps N] [--search S] [TRACE]

Windows of a trace (by default the Azure conversation trace in the shared data folder next to the
repository, if there is one) in rounds of 50 ms, and bursts with lognormal lengths. Gaps are
relative to the best list schedule or, with `--search`, to the best found in this many seconds of
schedule search. The gap is explained by memory that the schedule leaves unused while requests
wait: *at use* is the gap to the bound as if M were no more than that (not a bound on the optimum:
it says how much of the gap a perfect use of M would explain).

The second table compares the prices with the LP relaxation of the MILP, which none can exceed.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from schedules import ARRIVING, arriving

from batchprophet.models import Exact, Gpu, Instance, total_latency
from batchprophet.models.families import make_instance
from batchprophet.models.mixed import MixedSchedule
from batchprophet.models.mixed.milp import latest_starts
from batchprophet.models.traces import convert_trace
from batchprophet.solvers.mixed.bounds import (
    mean_busy_time,
    memory_price_bound,
    shortest_remaining_area,
)
from batchprophet.solvers.mixed.bounds.linear_relaxation import linear_relaxation
from batchprophet.solvers.mixed.list_scheduling import list_schedules
from batchprophet.solvers.mixed.search import improve_schedule

TRACE = Path(__file__).resolve().parents[3] / "shared/data/traces/azure2023_conv.csv"
ROUND_MS = 50.0
WINDOW, WINDOW_BEGINS = 1_000, (0.0, 1_200.0)


def main(arguments: argparse.Namespace) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; {arguments.blocks} blocks, {arguments.steps} steps a level")
    compile_everything()
    account(arguments)
    if not arguments.no_lp:
        against_the_linear_relaxation(arguments)


def compile_everything() -> None:
    small = make_instance("lognormal-burst", settings={"n": 20})
    memory_price_bound(small, steps=3)
    best_list_schedule(small)
    mean_busy_time(small)
    shortest_remaining_area(small)


def account(arguments: argparse.Namespace) -> None:
    print(
        f"\n{'instance':<30}{'n':>7}{'M':>8}{'schedule':>34}{'SRPT':>8}{'busy':>8}"
        f"{'prices':>8}{'s':>6}{'unused':>8}{'at use':>8}"
    )
    for name, instance in instances(arguments.trace):
        if arguments.only not in name:
            continue
        found_by, schedule = best_list_schedule(instance)
        if arguments.search > 0:
            schedule = improve_schedule(instance, schedule, time_limit=arguments.search)
            found_by = f"search, {arguments.search:g} s"
        value = total_latency(instance, schedule.completion(instance))
        prices = memory_price_bound(
            instance,
            schedule=schedule,
            blocks=arguments.blocks,
            steps=arguments.steps,
            time_limit=arguments.seconds,
        )
        used = mean_use_while_requests_wait(instance, schedule)
        M = max(round(used * instance.gpu.kv_capacity), int(instance.peak.max()))
        at_use = memory_price_bound(
            instance.replace(gpu=Gpu(kv_capacity=M)),
            schedule=schedule,
            blocks=arguments.blocks // 2,
            steps=arguments.steps,
            time_limit=arguments.seconds,
        )
        bounds = (shortest_remaining_area(instance), mean_busy_time(instance), prices.value)
        gaps = "".join(f"{gap(value, bound):>8}" for bound in bounds)
        print(
            f"{name:<30}{instance.n:>7}{instance.gpu.kv_capacity:>8}"
            f"{value:>14,} {found_by:<19}{gaps}{prices.seconds:>6.1f}{1 - used:>8.1%}"
            f"{gap(value, at_use.value):>8}",
            flush=True,
        )


def instances(trace: Path) -> Iterator[tuple[str, Instance]]:
    if trace.exists():
        for M in (65_536, 16_384):
            for load in (1.0, 1.5):
                for begin in WINDOW_BEGINS:
                    converted = convert_trace(
                        trace,
                        round_ms=ROUND_MS,
                        kv_capacity=M,
                        count=WINDOW,
                        start=begin,
                        load=load,
                    )
                    yield f"{trace.stem} {begin:g} s ×{load:g}", converted.instance
        yield trace.stem, convert_trace(trace, round_ms=ROUND_MS, kv_capacity=65_536).instance
    for n, M in ((1_000, 16_384), (1_000, 65_536), (20_000, 400_000)):
        yield "burst", make_instance("lognormal-burst", settings={"n": n, "kv_capacity": M})
    for n, M, load in ARRIVING:
        yield f"lognormal ×{load:g}", arriving(n, M, load)


def best_list_schedule(instance: Instance) -> tuple[str, MixedSchedule]:
    def value(named: tuple[str, MixedSchedule]) -> int:
        return total_latency(instance, named[1].completion(instance))

    name, schedule = min(list_schedules(instance, "latency"), key=value)
    return name.removeprefix("list schedule by "), schedule


def mean_use_while_requests_wait(instance: Instance, schedule: MixedSchedule) -> float:
    """Mean of (tokens held) / M over the rounds in which a request that has arrived waits."""
    rounds = int(schedule.completion(instance).max()) + 2
    tokens, waiting = np.zeros(rounds), np.zeros(rounds, dtype=np.int64)
    runs = zip(schedule.start, instance.prompt, instance.output, strict=True)
    for k, s, o in runs:
        tokens[k + 1 : k + o + 1] += np.arange(s + 1, s + o + 1)
    np.add.at(waiting, instance.arrival + 1, 1)
    np.add.at(waiting, schedule.start + 1, -1)
    contended = np.cumsum(waiting) > 0
    return float(tokens[contended].mean() / instance.gpu.kv_capacity) if contended.any() else 0.0


def gap(value: int, bound: Exact) -> str:
    return f"{1 - float(bound) / value:.2%}"


def against_the_linear_relaxation(arguments: argparse.Namespace) -> None:
    print(f"\n{'burst, M = 1640':<20}{'LP':>12}{'s':>8}{'prices':>12}{'s':>8}{'below':>9}")
    lengths = {"kv_capacity": 1640, "prompt_median": 76, "output_median": 15}
    for n in (20, 40, 60):
        instance = make_instance("lognormal-burst", seed=1, settings={"n": n, **lengths})
        _, schedule = best_list_schedule(instance)
        latest = latest_starts(
            instance, value=total_latency(instance, schedule.completion(instance))
        )
        began = time.perf_counter()
        relaxed = linear_relaxation(instance, latest=latest, threads=1)
        seconds = time.perf_counter() - began
        assert relaxed is not None
        prices = memory_price_bound(instance, schedule=schedule, steps=3 * arguments.steps)
        below = 1 - float(prices.value) / relaxed
        print(
            f"{f'n = {n}':<20}{relaxed:>12.2f}{seconds:>8.1f}{float(prices.value):>12.2f}"
            f"{prices.seconds:>8.2f}{below:>9.3%}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Bounds for large instances, by name.")
    parser.add_argument("trace", nargs="?", type=Path, default=TRACE)
    parser.add_argument("--blocks", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="limit of one bound")
    parser.add_argument("--search", type=float, default=0.0, help="seconds of schedule search")
    parser.add_argument("--only", default="", help="instances whose name contains this")
    parser.add_argument("--no-lp", action="store_true", help="leave out the second table")
    main(parser.parse_args())
