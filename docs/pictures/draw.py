"""Draw the pictures of the README, and of the page on separate batching.

    python docs/pictures/draw.py                            # demo.png
    python docs/pictures/draw.py window-report              # window.png as well
    python docs/pictures/draw.py window-report h100-report  # separate.png as well

``window-report`` is the folder that the README's ``batchprophet compare`` writes, ``h100-report``
that of docs/separate.md.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

import batchprophet as bp
from batchprophet.demo_instance import demo_instance
from batchprophet.pictures import gantt, kv, last_completion, modes, shared_order

FOLDER = Path(__file__).parent


def demo_wedges() -> Figure:
    """The demo's KV cache under MC-SF and in hindsight, one above the other."""
    instance = demo_instance()
    policy = bp.simulate(instance, "mc-sf")
    best = bp.solve(instance)
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, sharey=True)
    until = last_completion(instance, {"policy": policy.schedule, "best": best.schedule})
    kv(instance, policy.schedule, ax=upper, until=until)
    upper.set_title(f"MC-SF: total latency {policy.metrics.total_latency}", loc="left")
    upper.set_xlabel("")
    kv(instance, best.schedule, ax=lower, until=until)
    lower.set_title(f"hindsight: {best.solution.objective} ({best.solution.status})", loc="left")
    return figure


def window_side_by_side(report: Path) -> Figure:
    """A window of a trace under MC-SF and in hindsight: who runs when, over the KV occupancy."""
    instance = bp.load(report / "instance.json")
    policy = bp.simulate(instance, "mc-sf")
    best = bp.read_schedule(report / "solution.json", instance)
    proved = json.loads((report / "solution.json").read_text("utf-8"))
    schedules = {
        f"MC-SF: total latency {policy.metrics.total_latency:,}": policy.schedule,
        f"hindsight: {proved['objective']:,} (optimum at least {proved['lower_bound']:,})": best,
    }
    until = last_completion(instance, schedules)
    order = shared_order(instance, best)
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=[3, 1.4])
    for (upper, lower), (title, schedule) in zip(axes.T, schedules.items(), strict=True):
        gantt(instance, schedule, ax=upper, order=order, until=until)
        kv(instance, schedule, ax=lower, until=until)
        upper.set_title(title, loc="left", pad=26)
        upper.set_xlabel("")
    for ax in axes[:, 1]:
        ax.set_ylabel("")
    return figure


def separate_side_by_side(report: Path) -> Figure:
    """A window under prefill-first and in separate hindsight: requests, modes of the GPU, KV."""
    instance = bp.load(report / "instance-1.json")
    policy = bp.simulate(instance, "prefill-first", model="separate")
    best = bp.read_schedule(report / "solution-1.json", instance)
    proved = json.loads((report / "solution-1.json").read_text("utf-8"))
    schedules = {
        f"prefill-first: total latency {policy.metrics.total_latency:,}": policy.schedule,
        f"hindsight: {proved['objective']:,} (optimum at least {proved['lower_bound']:,})": best,
    }
    until = last_completion(instance, schedules)
    order = shared_order(instance, best)
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(3, 2, sharex=True, sharey="row", height_ratios=[3, 1, 1.4])
    for (upper, middle, lower), (title, schedule) in zip(axes.T, schedules.items(), strict=True):
        gantt(instance, schedule, ax=upper, order=order, until=until)
        modes(instance, schedule, ax=middle, until=until)
        kv(instance, schedule, ax=lower, until=until)
        upper.set_title(title, loc="left", pad=26)
        upper.set_xlabel("")
        middle.set_xlabel("")
    for ax in axes[:, 1]:
        ax.set_ylabel("")
    return figure


if __name__ == "__main__":
    demo_wedges().savefig(FOLDER / "demo.png", dpi=110, facecolor="white")
    pictures = {"window.png": window_side_by_side, "separate.png": separate_side_by_side}
    for (name, draw), folder in zip(pictures.items(), sys.argv[1:], strict=False):
        draw(Path(folder)).savefig(FOLDER / name, dpi=110, facecolor="white")
