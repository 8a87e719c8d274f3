"""How often the search for schedules finds the optimum where caches may be dropped.

    python -m benchmarks.continuous.dropping [--count 40] [--steps 200] [--laws unit whole]

The random instances of `benchmarks.continuous.pausing`, of one to three requests, seed by seed. The
optimum is that of the exhaustive search of `tests/brute_force_continuous.py`; the search takes a
quarter of its steps for the annealing of rules, the others for ruin and recreate.
"""

from __future__ import annotations

import argparse

from batchprophet.models import Instance
from batchprophet.models.continuous import ContinuousSchedule
from batchprophet.solvers.continuous import Search
from batchprophet.solvers.stages import Limits
from benchmarks.continuous.pausing import DEAR_PROMPTS, instance_of
from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_continuous import LAWS


def found(instance: Instance, steps: int, seed: int) -> tuple[int, int]:
    """Total latency of the best schedule of so many steps, and how many caches it drops."""
    best: list[ContinuousSchedule] = []
    search = Search(instance, "latency", seed, lambda schedule, _: best.append(schedule))
    search.try_rules(None, Limits())
    search.improve(Limits(work=steps))
    completion = best[-1].completion(instance)
    return int((completion - instance.arrival).sum()), best[-1].columns.drop_of.size


def row(kind: str, count: int, steps: int) -> str:
    """A row of the table: optima found, how far the others are, and schedules with drops."""
    gaps, drops = [], 0
    for seed in range(count):
        instance = instance_of(kind, seed)
        value, dropped = found(instance, steps, seed)
        gaps.append(value / int(brute_force_continuous(instance)[0]) - 1)
        drops += dropped > 0
    others = [gap for gap in gaps if gap > 0]
    mean = f"{100 * sum(others) / len(others):.1f} %" if others else "–"
    return f"| {kind} | {count - len(others)} of {count} | {mean} | {drops} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="instances for each law")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--laws", nargs="+", default=[*LAWS, DEAR_PROMPTS])
    given = parser.parse_args()
    print("| law | optima found | mean gap of the others | schedules with drops |")
    print("|---|---|---|---|")
    for kind in given.laws:
        print(row(kind, given.count, given.steps), flush=True)


if __name__ == "__main__":
    main()
