"""How long one path of separate-admission takes under each policy.

    python benchmarks/coupling/speed.py [--horizon 1000000] [--case prototype]

Seconds of CPU time of this process, the least of three runs, after a short run that compiles (or
loads) the machine code.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from batchprophet.online.separate.admission import (
    CASES,
    RULES,
    AdmissionLaw,
    account,
    hindsight,
    request_workloads,
    run_admission,
    segment_edges,
)


def main(horizon: int, case: str) -> None:
    law = CASES[case]
    timed(law, 200)
    requests, lines = timed(law, horizon)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; {case}, T = {horizon:,}, {requests:,} requests")
    for name, taken in lines.items():
        print(f"{name:<22}{taken:>8.3f} s")


def timed(law: AdmissionLaw, T: int) -> tuple[int, dict[str, float]]:
    work, rng = request_workloads(law), np.random.default_rng(0)
    arrivals = law.draw(T, rng)
    uniforms = rng.random(int(arrivals.sum()))
    known = hindsight(law, work, arrivals)
    edges = segment_edges(T, known)
    lines = {"aggregated hindsight": seconds(partial(hindsight, law, work, arrivals))}
    for rule in RULES:
        run = partial(run_admission, law, work, arrivals, rule, uniforms, edges)
        lines[rule] = seconds(run)
    counts = run_admission(law, work, arrivals, "bayes", uniforms, edges)
    lines["account of a run"] = seconds(partial(account, law, work, known, edges, counts))
    return uniforms.size, lines


def seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time separate-admission.")
    parser.add_argument("--horizon", type=int, default=1_000_000)
    parser.add_argument("--case", choices=tuple(CASES), default="prototype")
    arguments = parser.parse_args()
    main(arguments.horizon, arguments.case)
