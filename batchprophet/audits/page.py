"""The report on an audit: one self-contained page that can be forwarded."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..models.batch_time import AffineTime
from ..models.engine_logs.log import EngineLog
from ..models.instance import FloatArray, IntArray
from ..online.calibration.law import law_text
from .sentences import duration

if TYPE_CHECKING:
    from ..report.page import Origin
    from .audited import Audited

#: Points of a line over time, points of a distribution, and requests of the table.
MOMENTS, QUANTILES, ROWS = 240, 101, 300

#: Microseconds of a second.
_SECOND = 10**6


def render(audited: Audited, origin: Origin) -> str:
    """Return the report on an audit as an HTML page that needs no other file."""
    template = resources.files(__package__).joinpath("templates/audit.html").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sentences = audited.reading()
    return environment.from_string(template).render(
        title=f"Audit of {audited.audit.log.name}",
        origin=origin,
        headline=sentences[0],
        sentences=sentences[1:],
        explained=audited.explained,
        facts=_facts(audited),
        columns=audited.columns,
        rows=audited.rows(),
        knobs=audited.knob_rows(),
        interval=_interval(audited),
        knowledge=_knowledge(audited),
        accounts=_accounts(audited),
        data=Markup(_script(_data(audited))),
    )


def _script(data: dict[str, Any]) -> str:
    """Encode data for a script element: no character of it can end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _facts(audited: Audited) -> list[tuple[str, str]]:
    audit = audited.audit
    log, limits = audit.log, audit.engine.limits
    law = audit.instance.gpu.batch_time
    assert isinstance(law, AffineTime)
    span = int(log.last_token.max()) / _SECOND
    facts = [
        ("requests", f"{log.n:,}" + (f", {log.failed:,} failed" if log.failed else "")),
        ("served in", f"{span:,.1f} s"),
        ("batching, rule", f"{audit.engine.regime}, {audit.engine.rule}"),
        ("KV memory", f"{limits.kv_capacity:,} tokens in blocks of {limits.block_size}"),
        ("seats", "no limit" if limits.max_num_seqs is None else f"{limits.max_num_seqs:,}"),
        (
            "tokens in a batch",
            "no limit"
            if limits.max_num_batched_tokens is None
            else f"{limits.max_num_batched_tokens:,}",
        ),
        ("batch times in ms", law_text(law).removeprefix("affine:").replace(",", ", ")),
    ]
    for term, value in (("engine", log.facts.engine), ("device", log.facts.device)):
        if value is not None:
            facts.append((term, value))
    return facts


def _interval(audited: Audited) -> dict[str, Any] | None:
    """Places of bound, best schedule, best policy and engine on one line, as percentages."""
    hindsight, audit = audited.audit.hindsight, audited.audit
    if hindsight is None:
        return None
    marks = [("best schedule known", hindsight.figures.mean_latency_ms)]
    best, figures = hindsight.policies[0]
    if figures is not None:
        marks.append((f"best policy ({best.policy})", figures.mean_latency_ms))
    marks.append(("the engine", audit.logged.mean_latency_ms))
    bound = hindsight.lower_bound_ms
    right = 1.08 * max(value for _, value in marks)
    return {
        "bound": None if bound is None else 100 * bound / right,
        "bound_text": None if bound is None else duration(bound),
        "best": 100 * marks[0][1] / right,
        "marks": [
            {"name": name, "at": 100 * value / right, "text": duration(value)}
            for name, value in marks
        ],
    }


def _knowledge(audited: Audited) -> list[tuple[str, str, str]]:
    hindsight = audited.audit.hindsight
    words = {
        "none": "knows no lengths",
        "predicted": "predicts them from prompts",
        "exact": "knows all lengths",
    }
    return [
        (words[each.lengths], each.policy, f"{each.figures.mean_latency_ms:,.1f}")
        for each in (hindsight.lengths if hindsight else ())
    ]


def _accounts(audited: Audited) -> list[tuple[str, list[tuple[str, str]]]]:
    """Where the requests' time goes, as (whose, facts)."""
    names = {
        "simulated": f"by the engine's rule ({audited.audit.engine.rule})",
        "hindsight": "in the best schedule known",
    }
    found = audited.audit.accounts().items()
    return [(names[name], account.facts()) for name, account in found]


def _data(audited: Audited) -> dict[str, Any]:
    """Return what the page draws: distributions, lines over time, and requests."""
    audit = audited.audit
    log, played = audit.log, audit.played.times
    served = {
        "engine": (log.first_token, log.last_token),
        "simulated": (played.first_token, played.completion),
    }
    if audit.hindsight is not None:
        schedule = audit.hindsight.comparison.solution.schedule
        best = audit.engine.kind.times(audit.instance, schedule)
        served["best"] = (best.first_token, best.completion)
    end = max(int(last.max()) for _, last in served.values())
    moments = np.linspace(0, end, MOMENTS)
    steps = np.linspace(0, 100, QUANTILES)
    return {
        "latency": {
            name: _rounded(np.percentile((last - log.arrival) / _SECOND, steps))
            for name, (_, last) in served.items()
        },
        "ttft": {
            name: _rounded(np.percentile((first - log.arrival) / _SECOND, steps))
            for name, (first, _) in served.items()
        },
        "time": _rounded(moments / _SECOND),
        "lines": {
            name: over_time(log, first, last, moments)
            for name, (first, last) in served.items()
            if name != "simulated" or "best" not in served
        },
        "limits": asdict(audit.engine.limits),
        "requests": _requests(log, served),
    }


def over_time(
    log: EngineLog, first: IntArray, last: IntArray, moments: FloatArray
) -> dict[str, list[float]]:
    """Return how many requests run and wait, and about the KV that they hold, at some moments.

    A request waits until its first token; then its cache grows evenly.

    Examples
    --------
    >>> log = EngineLog(
    ...     name="a", format="-", arrival=[0], first_token=[2000], last_token=[4000], prompt=[10],
    ...     output=[5],
    ... )
    >>> over_time(log, log.first_token, log.last_token, np.array([1000.0, 3000.0]))
    {'running': [0, 1], 'waiting': [1, 0], 'kv': [0, 12]}
    """
    arrived = np.searchsorted(np.sort(log.arrival), moments, side="right")
    begun = np.searchsorted(np.sort(first), moments, side="right")
    done = np.searchsorted(np.sort(last), moments, side="right")
    pace = (log.output - 1) / np.maximum(last - first, 1)
    held = []
    for moment in moments:
        runs = (first <= moment) & (moment < last)
        held.append(round(float((log.prompt + pace * (moment - first))[runs].sum())))
    return {
        "running": (begun - done).tolist(),
        "waiting": (arrived - begun).tolist(),
        "kv": held,
    }


def _requests(
    log: EngineLog, served: dict[str, tuple[IntArray, IntArray]]
) -> list[list[float | str]]:
    """Return the requests that lost most against the best schedule, or waited longest."""
    other = served.get("best", served["simulated"])[1]
    lost = log.last_token - other
    rows = []
    for i in np.argsort(-lost, kind="stable")[:ROWS].tolist():
        name = f"r{i}" if log.id is None else log.id[i]
        seconds = (
            log.arrival[i],
            log.time_to_first_token[i],
            log.latency[i],
            other[i] - log.arrival[i],
            lost[i],
        )
        rows.append(
            [
                name,
                int(log.prompt[i]),
                int(log.output[i]),
                *(round(float(each) / _SECOND, 3) for each in seconds),
            ]
        )
    return rows


def _rounded(values: FloatArray) -> list[float]:
    rounded: list[float] = np.round(values, 4).tolist()
    return rounded
