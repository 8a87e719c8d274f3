"""The page's rules and search, run by node: no browser, and no page."""

import json
import shutil
import subprocess
from importlib import resources

from batchprophet.game.level import Level

#: Files of the game that know of no page, in the order in which the page has them.
FILES = (
    "mixed.js",
    "mixed_search.js",
    "batches.js",
    "separate.js",
    "continuous.js",
    "batch_search.js",
    "account.js",
)

NODE = shutil.which("node")

DRIVER = """
const jobs = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(jobs.map(job => RUN(job))));
"""


def run(function: str, jobs: list) -> list:
    """Return what a JavaScript function of one argument gives for each job."""
    folder = resources.files("batchprophet.game").joinpath("templates")
    source = [folder.joinpath(name).read_text("utf-8") for name in FILES]
    script = "\n".join([*source, f"const RUN = {function};", DRIVER])
    done = subprocess.run(
        [NODE, "-e", script],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=600,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def level(instance, value=0, regime="mixed"):
    """Return an instance as a level of the page, with an optimum if it is known."""
    made = Level(title="", lesson="", knows="all", regime=regime, instance=instance)
    requests = range(instance.n)
    best = {"value": value, "bound": value, "start": [-1 for _ in requests], "batches": []}
    return {**made.to_record(), "best": best}
