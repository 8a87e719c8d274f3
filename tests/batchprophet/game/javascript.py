"""The page's rules and search, run by node: no browser, and no page."""

import json
import shutil
import subprocess
from importlib import resources

#: Files of the game that know of no page, in the order in which the page has them.
FILES = ("rules.js", "search.js", "account.js")

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


def level(instance, value=0):
    """Return an instance as a level of the page, with an optimum if it is known."""
    columns = zip(
        *(c.tolist() for c in (instance.arrival, instance.prompt, instance.output)), strict=True
    )
    requests = [
        {"id": str(i), "arrival": a, "prompt": s, "output": o}
        for i, (a, s, o) in enumerate(columns)
    ]
    best = {"value": value, "bound": value, "start": [-1] * instance.n}
    capacity = instance.gpu.kv_capacity
    return {"regime": "mixed", "capacity": capacity, "requests": requests, "best": best}
