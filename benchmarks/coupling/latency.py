"""The Bayes selector for latency beside all other policies, against certified hindsight.

    python benchmarks/coupling/latency.py --seeds 100 149 --out latency.csv
    python benchmarks/coupling/latency.py --models 2 --seeds 100 111 --grid --out grid.csv
    python benchmarks/coupling/latency.py --models 2 --seeds 100 111 --knowledge --out knowledge.csv

One row per instance and policy: model, seed, n, M; the best known schedule and a proved lower
bound of the instance (the engine's, with all policies' schedules); the policy's latency, how many
decisions it took and their median CPU time in milliseconds. Rows that stand in the file are not
run again. At the end, per model and policy: mean and largest ratio to the best known schedule with
a 95 % interval, mean ratio to the bound, median time per decision. `--grid` runs K × effort,
`--picture FILE` draws the ratio against the time per decision then. `--knowledge` runs the fast
setting with the law of futures known, estimated or wrong, and with lengths told with errors (õ up
to 1 + error times o) or not at all.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from batchprophet.models import DoesNotFinish, Instance, total_latency
from batchprophet.models.families import make_instance
from batchprophet.models.mixed import MixedSchedule
from batchprophet.online import session
from batchprophet.online.mixed import REGISTRY, Decision, Observation, Policy, make_policy, simulate
from batchprophet.pictures import trade_offs
from batchprophet.solvers import solve
from batchprophet.solvers.mixed import load_compiled_code

COLUMNS = [
    "model",
    "seed",
    "n",
    "M",
    "best",
    "bound",
    "policy",
    "latency",
    "decisions",
    "milliseconds",
]
FAST = "samples=9,effort=500"
#: In arrival model 1 all requests are there at time 0: there is no law to know.
SETTINGS = {
    1: ["bayes", f"bayes:{FAST}"],
    2: ["bayes:law=arrival-model-2", f"bayes:law=arrival-model-2,{FAST}", f"bayes:{FAST}"],
}
GRID = [
    f"bayes:law=arrival-model-2,samples={K},effort={effort}"
    for K in (1, 3, 5, 9, 15)
    for effort in (100, 300, 1000, 3000)
]

TOLD = [*(f"lengths=predicted,error={error}" for error in (0.1, 0.3, 1)), "lengths=none"]
KNOWLEDGE = [
    *(f"bayes:law={law},{FAST}" for law in ("arrival-model-2", "past", "arrival-model-1")),
    *(f"bayes:law=arrival-model-2,{FAST},{told}" for told in TOLD),
    *("mc-sf" + (f":{told}" if told else "") for told in ("", *TOLD[:-1])),
    "vllm",
]


class Timed:
    """A policy whose decisions are timed, where it decides anything."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.player = policy, session(policy)
        self.milliseconds: list[float] = []

    def __getattr__(self, name: str) -> object:
        if name in ("run_compiled", "session"):
            raise AttributeError(name)
        return getattr(self.policy, name)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        begun = time.process_time()
        decision = self.player.decide(observation, rng)
        room = observation.kv_capacity - observation.kv_next_round
        if any(view.prompt + 1 <= room for view in observation.waiting):
            self.milliseconds.append(1000 * (time.process_time() - begun))
        return decision


def run(instance: Instance, spec: str, seed: int) -> tuple[MixedSchedule | None, Timed]:
    policy = Timed(make_policy(spec))
    try:
        return simulate(instance, policy, seed=seed), policy  # type: ignore[arg-type]  # forwards
    except DoesNotFinish:
        return None, policy


def rows_of(model: int, seed: int, specs: list[str], seconds: float) -> list[dict[str, object]]:
    """Run all policies, then the engine from the best of their schedules."""
    instance = make_instance(f"arrival-model-{model}", seed=seed, settings={})
    runs = {spec: run(instance, spec, seed) for spec in specs}
    done = [schedule for schedule, _ in runs.values() if schedule is not None]
    done = [schedule for schedule in done if not schedule.evicted]
    warm = min(done, key=lambda schedule: latency(instance, schedule))
    solution = solve(instance, time_limit=seconds, warm_start=warm)
    shared = (model, seed, instance.n, instance.gpu.kv_capacity, solution.objective, solution.bound)
    rows = []
    for spec, (schedule, timed) in runs.items():
        value = "" if schedule is None else latency(instance, schedule)
        median = f"{statistics.median(timed.milliseconds or [0.0]):.2f}"
        rows.append(
            dict(zip(COLUMNS, (*shared, spec, value, len(timed.milliseconds), median), strict=True))
        )
    return rows


def latency(instance: Instance, schedule: MixedSchedule) -> int:
    return total_latency(instance, schedule.completion(instance))


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def summarise(rows: list[dict[str, str]]) -> list[tuple[object, ...]]:
    """Model, policy, instances, mean ratio with its interval, largest, mean to bound, time."""
    groups = defaultdict(list)
    for row in rows:
        if row["latency"]:
            groups[row["model"], row["policy"]].append(row)
    lines = []
    for (model, policy), group in groups.items():
        value = np.array([float(row["latency"]) for row in group])
        to_best = value / np.array([float(row["best"]) for row in group])
        to_bound = value / np.array([float(row["bound"]) for row in group])
        half = 1.96 * to_best.std(ddof=1) / len(group) ** 0.5 if len(group) > 1 else float("nan")
        median = statistics.median(float(row["milliseconds"]) for row in group)
        lines.append(
            (
                model,
                policy,
                len(group),
                to_best.mean(),
                half,
                to_best.max(),
                to_bound.mean(),
                median,
            )
        )
    return sorted(lines, key=lambda line: (line[0], line[3]))


def show(lines: list[tuple[object, ...]]) -> None:
    print("| model | policy | instances | to best known | largest | to bound | ms per decision |")
    print("|---|---|---|---|---|---|---|")
    for model, policy, count, mean, half, largest, bound, median in lines:
        print(
            f"| {model} | `{policy}` | {count} | {mean:.4f} ± {half:.4f} | {largest:.3f} | "
            f"{bound:.3f} | {median:.1f} |"
        )


def draw(lines: list[tuple[object, ...]], path: Path) -> None:
    """Ratio against the time per decision, one curve per number of samples."""
    curves: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for _, policy, _, mean, half, _, _, median in lines:
        options = dict(part.split("=") for part in str(policy).partition(":")[2].split(","))
        if "samples" in options:
            curves[int(options["samples"])].append((float(median), float(mean), float(half)))
    trade_offs(
        {f"K = {samples}": points for samples, points in sorted(curves.items())},
        x_label="median CPU time per decision (ms), by the number K of futures",
        y_label="latency / best known",
    ).savefig(path, dpi=110, facecolor="white")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs=2, default=[100, 149], help="first and last")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--grid", action="store_true", help="samples × effort, for model 2")
    kind.add_argument("--knowledge", action="store_true", help="what is known, for model 2")
    parser.add_argument("--time-limit", type=float, default=20.0, help="of the engine, seconds")
    parser.add_argument("--out", type=Path, required=True, help="CSV file of the rows")
    parser.add_argument("--picture", type=Path, help="figure, with --grid")
    options = parser.parse_args()
    rows = read(options.out)
    there = {(int(row["model"]), int(row["seed"])) for row in rows}
    warm_up = make_instance("arrival-model-2", seed=0, settings={"n": 12})
    load_compiled_code(warm_up)
    run(warm_up, "bayes:samples=1,effort=10", 0)
    with options.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not rows:
            writer.writeheader()
        for seed in range(options.seeds[0], options.seeds[1] + 1):
            for model in options.models:
                if (model, seed) in there:
                    continue
                specs = [*REGISTRY.by_default, *SETTINGS[model]]
                specs = GRID if options.grid else KNOWLEDGE if options.knowledge else specs
                writer.writerows(rows_of(model, seed, specs, options.time_limit))
                file.flush()
                print(f"# model {model}, seed {seed}: done", flush=True)
    lines = summarise(read(options.out))
    show(lines)
    if options.picture:
        draw(lines, options.picture)


if __name__ == "__main__":
    main()
