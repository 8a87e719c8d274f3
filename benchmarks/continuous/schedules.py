"""What the search for schedules finds on instances of continuous batching, by its steps.

    python -m benchmarks.continuous.schedules FILE... [--steps 20000] [--seed 0]

One thread, no bounds. A quarter of the steps anneals list rules, the others are of ruin and
recreate; the mean latency is in the instance's unit of time. Seconds are CPU seconds of the
process, without compilation.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from batchprophet.models import Instance
from batchprophet.models.continuous import ContinuousSchedule
from batchprophet.models.files import read_instance
from batchprophet.models.regimes import check
from batchprophet.solvers.continuous import Search
from batchprophet.solvers.stages import Limits


def run(instance: Instance, steps: int, seed: int) -> str:
    """The cells of the table: simple rules, annealed ones, the best; what found it; drops; time."""
    best: dict[str, ContinuousSchedule] = {}

    def keep(schedule: ContinuousSchedule, by: str) -> None:
        best.pop(by, None)
        best[by] = schedule

    began = time.process_time()
    search = Search(instance, "latency", seed, keep)
    search.try_rules(None, Limits())
    search.improve(Limits(work=steps))
    taken = time.process_time() - began
    by, schedule = list(best.items())[-1]
    if violations := check(instance, schedule):
        raise AssertionError(violations[0].message)
    means = [
        f"{float((each.completion(instance) - instance.arrival).mean()):.0f}"
        for each in best.values()
    ]
    drops = schedule.columns.drop_of.size
    return f"{' → '.join(means)} | {by} | {drops} | {taken:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| instance | mean latency: best of each stage | found by | drops | CPU s |")
    print("|---|---|---|---|---|")
    for file in given.files:
        instance = read_instance(file)
        run(instance.take(np.arange(min(instance.n, 9))), 60, 0)  # compiles
        print(f"| {file.stem} | {run(instance, given.steps, given.seed)} |", flush=True)


if __name__ == "__main__":
    main()
