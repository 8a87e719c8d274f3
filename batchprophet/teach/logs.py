"""Files for the notebooks to read: a trace like a published one, and an engine's log."""

from __future__ import annotations

import csv
import datetime
import json
from pathlib import Path

from ..api import make, simulate
from ..arguments.outputs import PathLike
from ..models.continuous.schedule import ContinuousSchedule
from ..models.instance import Instance

#: The first moment of the trace.
BEGIN = datetime.datetime(2023, 11, 16, 18, 0)


def trace_like(path: PathLike, *, n: int = 2000, seed: int = 11) -> Path:
    """Write a CSV file in the format of the Azure traces of 2023.

    Arrivals and lengths are drawn from a law fitted to the conversation trace: it is *like* that
    trace, and is not it.

    Parameters
    ----------
    path : path
        The file to write.
    n : int
        Requests, at least 1.
    seed : int
        Of the random numbers.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> path = trace_like(Path(tempfile.mkdtemp()) / "trace.csv", n=3)
    >>> print(path.read_text().splitlines()[0])
    TIMESTAMP,ContextTokens,GeneratedTokens
    """
    drawn = make("azure-conversation", seed=seed, settings={"n": n, "round_ms": 1.0})
    path = Path(path)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["TIMESTAMP", "ContextTokens", "GeneratedTokens"])
        for a, s, o in zip(drawn.arrival, drawn.prompt, drawn.output, strict=True):
            stamp = BEGIN + datetime.timedelta(milliseconds=int(a))
            rows.writerow([stamp.strftime("%Y-%m-%d %H:%M:%S.%f0"), s, o])
    return path


def write_log(path: PathLike, instance: Instance, policy: str = "vllm") -> Path:
    """Serve requests by a policy, and write down what an engine would: a line per request.

    Parameters
    ----------
    path : path
        The file to write, as JSON lines.
    instance : Instance
        The requests, with batch times in microseconds.
    policy : str
        A policy of continuous batching.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> instance = make("continuous-conversation", settings={"gpu": "a100", "n": 2})
    >>> path = write_log(Path(tempfile.mkdtemp()) / "requests.jsonl", instance)
    >>> sorted(json.loads(path.read_text().splitlines()[0]))[:3]
    ['first_token_ts', 'input_toks', 'last_token_ts']
    """
    schedule = simulate(instance, policy, model="continuous").schedule
    assert isinstance(schedule, ContinuousSchedule)
    time = schedule.timeline(instance)
    columns = (
        instance.arrival, time.first_token, time.completion, instance.prompt, instance.output
    )  # fmt: skip
    path = Path(path)
    with path.open("w", encoding="utf-8") as file:
        for i, (arrival, first, last, prompt, output) in enumerate(zip(*columns, strict=True)):
            stamps = {
                "queued_ts": arrival / 1e6,
                "first_token_ts": first / 1e6,
                "last_token_ts": last / 1e6,
            }
            lengths = {"input_toks": int(prompt), "output_toks": int(output)}
            file.write(json.dumps({"request_id": f"r{i}", **stamps, **lengths}) + "\n")
    return path
