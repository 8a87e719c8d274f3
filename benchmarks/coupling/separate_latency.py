"""The Bayes selector for separate batching beside all other policies, against the best known.

    python benchmarks/coupling/separate_latency.py --seeds 0 9
    python benchmarks/coupling/separate_latency.py --seeds 0 7 --grid --picture out.png
    python benchmarks/coupling/separate_latency.py --seeds 0 99 --small

Instances of `separate-random` (`--n`, `--span`). Per policy: mean and largest ratio to the best
known schedule with a 95 % interval, mean ratio to the proved bound, median CPU time per decision
in milliseconds. The best known schedule and the bound are the engine's. `--grid` runs K × effort;
`--picture FILE` draws the ratio against the time. `--small` compares with the best policy that
knows the law of arrivals, by dynamic programming, on a few requests: mean latency over that of
hindsight.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from batchprophet.models import ConstantTime, Gpu, Instance, schedule_value
from batchprophet.models.families import make_instance
from batchprophet.models.separate import SeparateSchedule
from batchprophet.online.coupling import Future, Past
from batchprophet.online.mixed import Observation, RequestView
from batchprophet.online.separate import (
    ArrivalOptimum,
    BatchDecision,
    SeparateObservation,
    SeparateView,
    simulate_separate,
)
from batchprophet.online.separate.policies import Bayes, BayesRun
from batchprophet.online.separate.policy import REGISTRY, SeparatePolicy, make_policy, session
from batchprophet.pictures import trade_offs
from batchprophet.solvers import solve
from batchprophet.solvers.separate import load_compiled_code

BAYES = ["bayes:samples=3,effort=500", "bayes"]
#: The selector that is told what will come: what is left to hindsight is its search and its vote.
TOLD = "bayes, told the future"
#: The selector that is told the law: what is left to the future is what no policy can know.
LAW = "bayes, told the law"
#: … and how many requests there are.
NUMBER = "bayes, told the law and n"
#: The best that any policy can do which knows as much (`--small`).
BEST = "the best, told the law and n"
#: Requests, last slot of arrivals, longest output, B_P and B_D of the small cases.
SMALL = ((4, 6, 3, 2), (6, 9, 3, 2), (8, 12, 3, 2), (8, 12, 3, 4), (10, 15, 3, 4))
GRID = [f"bayes:samples={K},effort={effort}" for K in (1, 3, 9, 27) for effort in (100, 500, 2000)]


class Timed:
    """A policy whose decisions are timed where a request waits."""

    def __init__(self, policy: SeparatePolicy, player: SeparatePolicy) -> None:
        self.policy, self.player = policy, player
        self.milliseconds: list[float] = []

    def __getattr__(self, name: str) -> object:
        if name in ("run_compiled", "session"):
            raise AttributeError(name)
        return getattr(self.policy, name)

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        begun = time.process_time()
        decision = self.player.decide(observation, rng)
        if observation.waiting:
            self.milliseconds.append(1000 * (time.process_time() - begun))
        return decision


class Truth:
    """The law of futures of one who knows the instance."""

    def __init__(self, instance: Instance) -> None:
        self.columns = instance.arrival, instance.prompt, instance.output

    def draw(self, observation: Observation, rng: np.random.Generator) -> Future:
        """Return what will come."""
        to_come = self.columns[0] > observation.time
        return Future(*(column[to_come] for column in self.columns))

    def output(
        self, view: RequestView, tokens: int, observation: Observation, rng: np.random.Generator
    ) -> int:
        """Not asked: lengths are told."""
        raise NotImplementedError


class UniformLaw:
    """The law of n requests that arrive uniformly in slots 0 … T, as one knows it who knows n."""

    def __init__(self, n: int, last: int, longest: tuple[int, int] = (5, 8)) -> None:
        self.n, self.last, self.longest = n, last, longest

    def draw(self, past: Past, rng: np.random.Generator) -> Future:
        """Draw those that have not come, each uniformly in the slots that are left."""
        m = self.n - len(past.arrived)
        arrival = np.sort(rng.integers(past.time + 1, self.last + 1, size=m)) if m else np.zeros(0)
        prompt, output = (rng.integers(1, most + 1, size=m) for most in self.longest)
        return Future(arrival.astype(np.int64), prompt, output)

    def output(self, view: SeparateView, tokens: int, past: Past, rng: np.random.Generator) -> int:
        """Not asked: lengths are told."""
        raise NotImplementedError


class FamilyLaw(Truth):
    """The law of `separate-random`, with its rate, its end and its lengths."""

    def __init__(self, n: int, span: int) -> None:
        self.rate, self.span = n / (span + 1), span

    def draw(self, observation: Observation, rng: np.random.Generator) -> Future:
        """Draw Poisson arrivals up to the end."""
        slots = np.arange(observation.time + 1, self.span + 1)
        arrival = np.repeat(slots, rng.poisson(self.rate, size=slots.size))
        m = arrival.size
        return Future(arrival, rng.integers(1, 6, size=m), rng.integers(1, 9, size=m))


def timed_policy(spec: str, instance: Instance, span: int) -> Timed:
    if spec == LAW:
        policy = Bayes()
        return Timed(policy, BayesRun(policy, FamilyLaw(instance.n, span)))
    if spec == NUMBER:
        policy = Bayes()
        return Timed(policy, BayesRun(policy, UniformLaw(instance.n, span)))
    if spec == TOLD:
        policy = Bayes()
        return Timed(policy, BayesRun(policy, Truth(instance)))
    named = make_policy(spec)
    return Timed(named, session(named))


def known(instance: Instance, schedules: list[SeparateSchedule], seconds: float) -> tuple[int, int]:
    """Best known total latency, and a lower bound on the least."""
    best = min(schedules, key=lambda schedule: schedule_value(instance, schedule))
    solution = solve(instance, model="separate", time_limit=seconds, warm_start=best)
    return int(solution.objective), int(solution.bound)


def small(seeds: range) -> None:
    """Mean latency over that of hindsight beside the best policy, on a few requests."""
    names = [BEST, NUMBER, "bayes", "full-prompt-batch", "threshold", "prefill-first"]
    print("| n | last arrival | outputs | B_P, B_D | " + " | ".join(f"`{n}`" for n in names) + " |")
    print("|---|---|---|---|" + "---|" * len(names))
    for n, last, longest, limit in SMALL:
        gpu = Gpu(
            kv_capacity=99 * n,
            prompt_batch_requests=limit,
            token_batch_requests=limit,
            batch_time=ConstantTime(prompt=2, token=1),
        )
        optimum = ArrivalOptimum(n=n, last=last, law=np.full(longest, 1 / longest), gpu=gpu)
        best, total = 0, dict.fromkeys(names, 0)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            arrival = np.sort(rng.integers(0, last + 1, n))
            output = rng.integers(1, longest + 1, n)
            instance = Instance(gpu=gpu, arrival=arrival, prompt=np.ones(n, int), output=output)
            best += int(solve(instance, model="separate", time_limit=10).objective)
            policy = Bayes()
            law = UniformLaw(n, last, (1, longest))
            for name in names:
                made = {BEST: optimum.policy(), NUMBER: Timed(policy, BayesRun(policy, law))}
                run = simulate_separate(instance, made.get(name, name), seed=seed)  # type: ignore[arg-type]  # forwards
                total[name] += schedule_value(instance, run)
        ratios = " | ".join(f"{total[name] / best:.3f}" for name in names)
        print(f"| {n} | {last} | 1 … {longest} | {limit} | {ratios} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=[0, 9], help="first and last")
    parser.add_argument("--n", type=int, default=24)
    parser.add_argument("--span", type=int, default=36, help="slots with arrivals")
    parser.add_argument("--seconds", type=float, default=20, help="of the engine per instance")
    parser.add_argument("--grid", action="store_true", help="samples × effort")
    parser.add_argument("--picture", type=Path, help="figure, with --grid")
    parser.add_argument("--small", action="store_true", help="beside dynamic programming")
    options = parser.parse_args()
    if options.small:
        small(range(options.seeds[0], options.seeds[1] + 1))
        return
    specs = GRID if options.grid else [*REGISTRY.by_default, *BAYES, LAW, NUMBER, TOLD]
    load_compiled_code()
    simulate_separate(make_instance("separate-random", settings={"n": 6}), BAYES[0])  # compile
    ratios, to_bound, times = defaultdict(list), defaultdict(list), defaultdict(list)
    for seed in range(options.seeds[0], options.seeds[1] + 1):
        settings = {"n": options.n, "span": options.span}
        instance = make_instance("separate-random", seed=seed, settings=settings)
        runs = {}
        for spec in specs:
            timed = timed_policy(spec, instance, options.span)
            runs[spec] = simulate_separate(instance, timed, seed=seed)  # type: ignore[arg-type]  # forwards
            times[spec] += timed.milliseconds
        best, bound = known(instance, list(runs.values()), options.seconds)
        for spec, run in runs.items():
            ratios[spec].append(schedule_value(instance, run) / best)
            to_bound[spec].append(schedule_value(instance, run) / bound)
    print("| policy | instances | to best known | largest | to the bound | ms per decision |")
    print("|---|---|---|---|---|---|")
    for spec in sorted(specs, key=lambda spec: np.mean(ratios[spec])):
        r = np.array(ratios[spec])
        half = 1.96 * r.std(ddof=1) / r.size**0.5 if r.size > 1 else float("nan")
        print(
            f"| `{spec}` | {r.size} | {r.mean():.3f} ± {half:.3f} | {r.max():.3f} | "
            f"{np.mean(to_bound[spec]):.3f} | {statistics.median(times[spec]):.1f} |"
        )
    if options.picture:
        draw(ratios, times, options.picture)


def draw(ratios: dict[str, list[float]], times: dict[str, list[float]], path: Path) -> None:
    """Ratio against the time per decision, one curve per number of samples."""
    curves = defaultdict(list)
    for spec, r in ratios.items():
        samples = dict(part.split("=") for part in spec.partition(":")[2].split(","))["samples"]
        curves[int(samples)].append((statistics.median(times[spec]), float(np.mean(r)), 0.0))
    trade_offs(
        {f"K = {samples}": points for samples, points in sorted(curves.items())},
        x_label="median CPU time per decision (ms), by the number K of futures",
        y_label="latency / best known",
    ).savefig(path, dpi=110, facecolor="white")


if __name__ == "__main__":
    main()
