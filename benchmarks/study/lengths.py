"""Tables of what knowing output lengths is worth: policies by what they are told of them.

    python -m benchmarks.study.lengths STUDY.toml DIR
    python -m benchmarks.study.lengths STUDY.toml DIR --pool start

DIR is where `batchprophet study STUDY.toml --out DIR` wrote its table. For each source (with
``--pool``, for those that differ in that setting only) there is a table of the mean ratio to the
optimum by prediction, and one of mean and 99th percentile of latency, exact lengths and none. Where
optima are not proved, ratios are intervals: to the best known value, and to the bound. Percentiles
are divided by their lower bound over all schedules (`solvers/tail_latency.py`).
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from batchprophet.online.study import Study, read_study
from batchprophet.solvers import tail_latency_bound
from benchmarks.study.tables import table

HINDSIGHT = "hindsight"
DOES_NOT_FINISH = "does not finish"


@dataclass(frozen=True)
class Run:
    """A policy on an instance: ratios of its value, and its 99th percentile to the bound."""

    low: float
    high: float
    tail: float


#: By prediction and policy.
Runs = dict[tuple[str, str], list[Run | None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pool", help="a setting over which sources are taken together")
    options = parser.parse_args()
    study = read_study(options.study)
    bounds = tail_bounds(study)
    with (options.folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    groups: dict[str, Runs] = defaultdict(lambda: defaultdict(list))
    proved: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        name = pooled(row["source"], options.pool)
        if row["policy"] == HINDSIGHT:
            proved[name].append(row["value"] == row["bound"])
        else:
            bound = bounds[row["source"], int(row["seed"])]
            groups[name][row["predictions"], row["policy"]].append(run(row, bound))
    for name, runs in groups.items():
        print(f"**{name}**: optimum proved on {sum(proved[name])} of {len(proved[name])}\n")
        print(by_prediction(runs), end="\n\n")
        print(mean_and_tail(runs), end="\n\n")


def tail_bounds(study: Study) -> dict[tuple[str, int], float]:
    """Lower bounds on the 99th percentile, by source and seed."""
    return {
        (problem.source.label, problem.seed): tail_latency_bound(
            problem.source.make(problem.seed), model=study.model
        )
        for problem in study.problems()
    }


def pooled(source: str, setting: str | None) -> str:
    """The source's name without a setting."""
    parts = [
        part for part in source.split(" ") if not setting or not part.startswith(f"{setting}=")
    ]
    return " ".join(parts)


def run(row: dict[str, str], tail_bound: float) -> Run | None:
    """What a row says; None of a policy that does not finish."""
    if row["outcome"] == DOES_NOT_FINISH:
        return None
    if row["outcome"] != "done":
        raise SystemExit(f"{row['source']}, {row['policy']}: {row['outcome']}: {row['reason']}")
    tail = float(row["p99_latency"]) / tail_bound
    return Run(float(row["ratio_low"]), float(row["ratio_high"]), tail)


def by_prediction(runs: Runs) -> str:
    """Mean ratios, for the policies that can be told lengths."""
    kinds = list(dict.fromkeys(kind for kind, _ in runs))
    told = list(dict.fromkeys(policy for kind, policy in runs if kind != "none"))
    lines = [[f"`{kind}`", *(cell(runs.get((kind, policy))) for policy in told)] for kind in kinds]
    return table(["lengths", *(f"`{policy}`" for policy in told)], lines)


def mean_and_tail(runs: Runs) -> str:
    """Mean and 99th percentile of all policies, least mean first, exact lengths and none."""
    chosen = [(key, each) for key, each in runs.items() if key[0] in ("exact", "none")]
    finish = [(key, finished(each)) for key, each in chosen if finished(each)]
    finish.sort(key=lambda each: mean(run.low for run in each[1]))
    lines = [
        [
            f"`{policy}`",
            kind,
            cell(list(each)),
            error([run.low for run in each]),
            f"{mean(run.tail for run in each):.2f}",
        ]
        for (kind, policy), each in finish
    ]
    columns = ["policy", "lengths", "mean latency / optimum", "± standard error", "p99 / bound"]
    return table(columns, lines)


def finished(runs: list[Run | None]) -> list[Run]:
    """The runs that finish, if all do."""
    done = [each for each in runs if each is not None]
    return done if len(done) == len(runs) else []


def cell(runs: list[Run | None] | None) -> str:
    """The mean ratio, as an interval."""
    if runs is None:
        return ""
    done = finished(runs)
    if not done:
        return DOES_NOT_FINISH
    low, high = (f"{mean(ends):.3f}" for ends in zip(*((r.low, r.high) for r in done), strict=True))
    return low if low == high else f"{low} – {high}"


def error(values: list[float]) -> str:
    """Standard error of the mean over instances; nothing of one."""
    return f"{stdev(values) / len(values) ** 0.5:.3f}" if len(set(values)) > 1 else ""


if __name__ == "__main__":
    main()
