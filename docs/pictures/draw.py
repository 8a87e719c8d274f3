"""Draw the pictures of the README: `python docs/pictures/draw.py` from the repository."""

from pathlib import Path

from matplotlib.figure import Figure

import batchprophet as bp
from batchprophet.demo_instance import demo_instance
from batchprophet.plots import kv

FOLDER = Path(__file__).parent


def demo_wedges() -> Figure:
    """The demo's KV cache under MC-SF and in hindsight, one above the other."""
    instance = demo_instance()
    policy = bp.simulate(instance, "mc-sf")
    best = bp.solve(instance)
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, sharey=True)
    kv(instance, policy.schedule, ax=upper)
    upper.set_title(f"MC-SF: total latency {policy.metrics.total_latency}", loc="left")
    upper.set_xlabel("")
    kv(instance, best.schedule, ax=lower)
    proved = "proved optimal" if best.solution.status == "optimal" else "best known"
    lower.set_title(f"hindsight: {best.solution.objective} ({proved})", loc="left")
    return figure


if __name__ == "__main__":
    demo_wedges().savefig(FOLDER / "demo.png", dpi=110, facecolor="white")
