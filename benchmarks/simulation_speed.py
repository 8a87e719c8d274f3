"""How fast policies are simulated: seconds, requests per second, peak memory.

    python benchmarks/simulation_speed.py [--requests 19366,1000000] [--policies a,b] [TRACE…]

Instances: synthetic ones like the Azure conversation trace (rounds of 50 ms, M = 65,536), at the
trace's rate and, for policies that slow down when many wait, at 1.5 times it; and each TRACE
(by default that of the shared data folder beside the repository, where there is one). Each case
runs in a process of its own, after a small instance that compiles (or loads) the machine code;
seconds are those of `simulate` alone, memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from batchprophet.models import DoesNotFinish, Instance
from batchprophet.models.families import make_instance
from batchprophet.models.traces import convert_trace
from batchprophet.online.mixed import REGISTRY, simulate

TRACE = Path(__file__).resolve().parents[2] / "shared/data/traces/azure2023_conv.csv"
M, ROUND_MS = 65_536, 50.0
RATE = 5.5301  # requests per second of the Azure conversation trace

#: Sorted-F chooses sets among all that wait: its work grows with the square of the queue.
LARGEST_SORTED_F = 20_000


def main(arguments: argparse.Namespace) -> None:
    cases = [
        (f"synthetic ×{load:g}", n, load)
        for n in map(int, arguments.requests.split(","))
        for load in (1.0, 1.5)
    ]
    cases += [(path, 0, 1.0) for path in arguments.traces if Path(path).exists()]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; M = {M}, rounds of {ROUND_MS:g} ms")
    print(f"{'policy':<18}{'instance':<24}{'requests':>10}{'seconds':>10}{'req/s':>13}{'MiB':>7}")
    context = multiprocessing.get_context("spawn")
    for name, n, load in cases:
        for policy in arguments.policies.split(","):
            if policy == "sorted-f" and n > LARGEST_SORTED_F:
                continue
            with ProcessPoolExecutor(1, mp_context=context) as process:
                requests, seconds, mebibytes, note = process.submit(
                    measure, policy, name, n, load
                ).result()
            rate = requests / seconds
            print(
                f"{policy:<18}{Path(name).name:<24}{requests:>10,}{seconds:>10.3f}{rate:>13,.0f}"
                f"{mebibytes:>7,.0f}  {note}".rstrip(),
                flush=True,
            )


def measure(policy: str, name: str, n: int, load: float) -> tuple[int, float, float, str]:
    """Simulate one case: requests, seconds, peak MiB of this process, remark."""
    instance = synthetic(n, load) if n else from_trace(name)
    simulate(instance.take(range(min(100, instance.n))), policy)
    begin, note = time.perf_counter(), ""
    try:
        schedule = simulate(instance, policy)
        latency = (schedule.completion(instance) - instance.arrival).mean()
        note = f"mean latency {latency:,.0f} rounds, {len(schedule.evicted):,} evictions"
    except DoesNotFinish as reason:
        note = str(reason)
    seconds = time.perf_counter() - begin
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return instance.n, seconds, kibibytes / 1024, note


def synthetic(n: int, load: float) -> Instance:
    settings = {"n": n, "kv_capacity": M, "round_ms": ROUND_MS, "rate": RATE * load}
    return make_instance("azure-conversation", seed=0, settings=settings)


def from_trace(path: str) -> Instance:
    return convert_trace(path, round_ms=ROUND_MS, kv_capacity=M).instance


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time the simulation of policies.")
    parser.add_argument("--requests", default="1000,19366,1000000")
    parser.add_argument("--policies", default=",".join(REGISTRY.by_default))
    parser.add_argument("traces", nargs="*", default=[str(TRACE)])
    sys.exit(main(parser.parse_args()))
