"""The exhaustive search of continuous batching beside the plain MILP and CP-SAT.

    python -m benchmarks.continuous.beside [--seconds 30] [--count 3]

The family of `benchmarks.continuous.small` with fewer and shorter requests, on the same machine and
in the same run, 2 threads for the solvers. All get the value of the first list schedule: the MILP
as a start, CP-SAT as an upper bound. Seconds are CPU seconds of the process, without compilation;
the limit is on the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from batchprophet.models import Instance
from batchprophet.solvers import solve
from batchprophet.solvers.continuous.exact.first_schedule import first_schedule
from batchprophet.solvers.continuous.exact.search import search
from benchmarks.continuous import cp_sat
from benchmarks.continuous.small import instance_of

#: Requests, and most tokens of a side.
SIZES = ((2, 4), (3, 4), (3, 8), (4, 8), (5, 12))

Interval = tuple[float, float]


def by_search(instance: Instance, known: int, seconds: float) -> Interval:
    """Value and bound of the exhaustive search."""
    outcome = search(instance, time_limit=seconds)
    best = known
    if outcome.schedule is not None:
        best = int((outcome.schedule.completion(instance) - instance.arrival).sum())
    return float(best), float(outcome.bound)


def by_milp(instance: Instance, known: int, seconds: float) -> Interval:
    """Value and bound of HiGHS on the batch-sequence form."""
    solution = solve(
        instance, model="continuous", formulation="batch-sequence", time_limit=seconds, threads=2
    )
    return float(solution.objective), float(solution.bound or 0)


def by_cp_sat(instance: Instance, known: int, seconds: float) -> Interval:
    """Value and bound of CP-SAT."""
    value, bound = cp_sat.solve(instance, known, seconds)
    return float(known if value is None else value), float(bound)


METHODS: dict[str, Callable[[Instance, int, float], Interval]] = {
    "exhaustive search": by_search,
    "MILP (HiGHS)": by_milp,
    "CP-SAT": by_cp_sat,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--count", type=int, default=3)
    given = parser.parse_args()
    search(instance_of(0, n=3, most=6))  # compiles
    print("| requests | tokens a side | method | proved | mean gap | mean CPU s |")
    for n, most in SIZES:
        rows: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
        values: list[set[float]] = [set() for _ in range(given.count)]
        for seed in range(given.count):
            instance = instance_of(seed, n=n, most=most)
            known = int(first_schedule(instance, "latency")[1])
            for name, method in METHODS.items():
                began = time.process_time()
                value, bound = method(instance, known, given.seconds)
                rows[name].append(
                    (value / bound - 1 if bound else 1.0, time.process_time() - began)
                )
                if value <= bound:
                    values[seed].add(value)
        if any(len(each) > 1 for each in values):
            raise AssertionError(f"methods disagree: {values}")
        for name, row in rows.items():
            proved = sum(gap <= 0 for gap, _ in row)
            gap = 100 * sum(gap for gap, _ in row) / given.count
            taken = sum(seconds for _, seconds in row) / given.count
            print(
                f"| {n} | {most} | {name} | {proved} of {given.count} | {gap:.1f} % "
                f"| {taken:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
