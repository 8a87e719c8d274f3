"""The report on an audit: one self-contained page that can be forwarded."""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ..models.batch_time import AffineTime
from ..models.engine_logs.log import EngineLog
from ..models.instance import FloatArray, IntArray
from ..online.calibration.law import law_text
from ..pictures import palette
from ..pictures.regimes import DRAWINGS
from ..pictures.svg import to_svg
from ..report.filled import filled, script_data
from . import pictures
from .engine import never_binds
from .sentences import duration

if TYPE_CHECKING:
    from ..report.page import Origin
    from .audited import Audited

#: Points of a line over time, points of a distribution, and requests of the table.
MOMENTS, QUANTILES, ROWS = 240, 101, 300

#: Widths of pictures in inches: narrow, so that text stays legible where a phone shrinks them.
KNOBS_WIDTH, ACCOUNT_WIDTH = 4.2, 5.0

#: Microseconds of a second.
_SECOND = 10**6

#: The space before a unit, where no line breaks.
_UNIT = re.compile(r"(?<=\d) (?=(?:%|s|ms)(?!\w))")

#: Colours of pictures that the page has for light and dark.
_COLOURS = {palette.PROMPT: "var(--best)", palette.LOST: "var(--engine)"}


def render(audited: Audited, origin: Origin) -> str:
    """Return the report on an audit as an HTML page that needs no other file."""
    interval = _interval(audited)
    return filled(
        __package__,
        "audit.html",
        title=f"Audit of {audited.audit.log.name}",
        origin=origin,
        sentences=[_UNIT.sub("\u00a0", sentence) for sentence in audited.reading()],
        explained=audited.explained,
        facts=_facts(audited),
        columns=audited.columns,
        rows=audited.rows(),
        knobs=audited.knob_rows(),
        knobs_picture=_knobs_svg(audited),
        interval=interval,
        knowledge=_knowledge(audited),
        accounts=_accounts(audited),
        account_is=DRAWINGS[audited.audit.engine.regime].account_is,
        accounts_picture=_accounts_svg(audited),
        data=Markup(script_data(_data(audited))),
    )


def _knobs_svg(audited: Audited) -> Markup:
    turned = audited.knobs()
    picture = palette.picture(KNOBS_WIDTH, pictures.knobs_height(len(turned) + 2))
    pictures.knobs(audited.audit, turned, ax=picture.add_subplot())
    description = "Latency by knob. " + "; ".join(
        f"{name}: mean {mean} ms, 99th percentile {p99} ms"
        for name, mean, p99, *_ in audited.knob_rows()
    )
    drawn = to_svg(picture, name="knobs", description=description)
    for colour, own in _COLOURS.items():
        drawn = drawn.replace(colour, own)
    return Markup(drawn)


def _accounts_svg(audited: Audited) -> Markup:
    picture = pictures.accounts(audited.audit, ACCOUNT_WIDTH)
    if picture is None:
        return Markup("")
    return Markup(to_svg(picture, name="account", description="Mean latency by what happens."))


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
        (
            "KV memory",
            never_binds(limits).removeprefix("KV memory that ")
            if audit.engine.ample
            else f"{limits.kv_capacity:,} tokens in blocks of {limits.block_size}",
        ),
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
    found = [("best", "best schedule known", hindsight.figures.mean_latency_ms)]
    best, figures = hindsight.policies[0]
    if figures is not None:
        found.append(("policy", f"best policy ({best.policy})", figures.mean_latency_ms))
    found.append(("engine", "the engine", audit.logged.mean_latency_ms))
    right = 1.08 * max(value for *_, value in found)
    bound = hindsight.lower_bound_ms
    if bound is not None:
        found.insert(0, ("bound", "lower bound", bound))
    marks = [
        {"kind": kind, "name": name, "at": 100 * value / right, "text": duration(value)}
        for kind, name, value in found
    ]
    return {
        "bound": None if bound is None else 100 * bound / right,
        "best": 100 * hindsight.figures.mean_latency_ms / right,
        "marks": marks,
        "scale": [{"at": 100 * at / right, "text": f"{at / 1000:g} s"} for at in scale(right)],
    }


def scale(right: float) -> list[float]:
    """Return round numbers from 0 for an axis that ends at `right`, at most six.

    Examples
    --------
    >>> scale(93.5)
    [0.0, 20.0, 40.0, 60.0, 80.0]
    """
    power = 10.0 ** math.floor(math.log10(right / 5))
    step = next(k * power for k in (1, 2, 5, 10) if 5 * k * power >= right)
    return [k * step for k in range(6) if k * step <= right]


def _knowledge(audited: Audited) -> list[tuple[str, str, str]]:
    hindsight = audited.audit.hindsight
    words = {
        "none": "knows no lengths",
        "predicted": "predicts them from prompts",
        "exact": "knows all lengths",
    }
    return [
        (words[each.lengths], each.policy.partition(":")[0], f"{each.figures.mean_latency_ms:,.1f}")
        for each in (hindsight.lengths if hindsight else ())
    ]


def _accounts(audited: Audited) -> list[tuple[str, list[tuple[str, str]]]]:
    """Where the requests' time goes, as (whose, facts)."""
    found = pictures.named_accounts(audited.audit).items()
    return [(name, account.facts()) for name, account in found]


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
