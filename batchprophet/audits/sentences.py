"""What an audit says, in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..online.audit.audit import Audit, Hindsight
from ..online.audit.knobs import Knob
from ..online.calibration.explanation import Explanation
from ..online.calibration.fit import FittedLaw
from ..report.table import percent, ratio_down, ratio_up

#: Knobs that an engineer cannot turn on this server, or that a sentence of their own names.
NOT_TURNED = ("load", "GPU", "order")

#: How policies that know less than all output lengths are introduced.
KNOWING = {"predicted": "with lengths predicted from prompts,", "none": "without any,"}


def headline(audit: Audit) -> str:
    """Say in one sentence how far the engine was from the best possible, or that nothing can be."""
    ratio, hindsight = audit.ratio, audit.hindsight
    if ratio is None or hindsight is None:
        return "The model does not explain this log, so nothing is claimed about the best possible."
    low, high = ratio
    mean = f"mean latency of {duration(audit.logged.mean_latency_ms)}"
    best = duration(hindsight.figures.mean_latency_ms)
    if high is None:
        return (
            f"The engine's {mean} is at least {ratio_down(low)} times the best possible: a "
            f"schedule with {best} is known."
        )
    bound = hindsight.lower_bound_ms
    assert bound is not None
    if low <= 1:
        return (
            f"The engine's {mean} is at most {ratio_up(high)} times the best possible: no schedule "
            f"has less than {duration(bound)}, and none better than the engine's is known."
        )
    return (
        f"The engine's {mean} is between {ratio_down(low)} and {ratio_up(high)} times the best "
        f"possible: a schedule with {best} is known, and none has less than {duration(bound)}."
    )


def reading(audit: Audit, assumed: Sequence[str]) -> list[str]:
    """Return what the audit shows, sentence by sentence, the headline first."""
    found = [headline(audit)]
    laws = audit.ratio_over_laws
    if laws is not None and audit.hindsight is not None:
        found.append(
            f"Over {len(audit.hindsight.other_laws) + 1} laws that explain the log about equally "
            f"well, the interval is {ratio_down(laws[0])} to {ratio_up(laws[1])}."
        )
    found += explained(audit.explanation, audit.engine.rule, held_out=audit.fit is not None)
    found += assumptions(assumed)
    if failed := audit.log.failed:
        found.append(
            f"{failed:,} requests failed and are left out."
            if failed > 1
            else "1 request failed and is left out."
        )
    if audit.hindsight is not None:
        found += [] if audit.fit is None else [law_sentence(audit.fit)]
        found += [*_order(audit, audit.hindsight), *_knobs(audit.hindsight)]
        found += _sharpness(audit.hindsight)
    return found


def explained(explanation: Explanation, rule: str, *, held_out: bool) -> list[str]:
    """Say whether the model explains the log, how near it is, and which signs speak against it."""
    errors = explanation.errors
    size = (
        f"the rule {rule} gives the mean latency within {abs(errors.mean_latency):.1%}, and a "
        f"request's within {errors.median_request:.1%} (median) and {errors.p95_request:.1%} "
        f"(95 % of them), over {errors.requests:,} requests"
        f"{' held out of the fit' if held_out else ''}"
    )
    if explanation.explained:
        return [_spaced(f"The model explains the log: {size}.")]
    if not explanation.signs:
        return [
            _spaced(f"It is not near enough: {size}."),
            "That points to another scheduler, other limits, or other work on the GPU.",
        ]
    seen = [f"Seen: {sign.text}." for sign in explanation.signs]
    return [_spaced(text) for text in (*seen, f"For comparison, {size}.")]


def assumptions(assumed: Sequence[str]) -> list[str]:
    """Say what neither the log nor the caller tells."""
    return [f"The log does not tell everything. Assumed: {'; '.join(assumed)}."] if assumed else []


def law_sentence(fit: FittedLaw) -> str:
    """Say the fitted law, with intervals, and what of it the log does not tell."""
    parts = [
        f"{each.name} {each.value:.4g} ({each.low:.4g} to {each.high:.4g})"
        for each in fit.coefficients
    ]
    text = f"Fitted batch times in ms, with joint intervals of about 95 %: {', '.join(parts)}."
    missing = fit.not_identified
    if not missing:
        return text
    alone = "on its own" if len(missing) == 1 else "one by one"
    text += f" The log does not determine {listed(missing)} {alone}"
    if not {"c2", "c3"} & set(missing):
        return f"{text}."
    job = fit.token_job
    return (
        f"{text}; together, a token job at the mean context takes {job.name} = {job.value:.4g} ms "
        f"({job.low:.4g} to {job.high:.4g})."
    )


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence.

    Examples
    --------
    >>> listed(["c0"]), listed(["c2", "c3"]), listed(["c0", "c2", "c3"])
    ('c0', 'c2 and c3', 'c0, c2 and c3')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _order(audit: Audit, hindsight: Hindsight) -> list[str]:
    """Say what another order would have given, and how much of it needs output lengths."""
    best, figures = hindsight.policies[0]
    usual = audit.simulated.mean_latency_ms
    if figures is None or figures.mean_latency_ms >= 0.995 * usual:
        return ["No policy here has a mean latency clearly below that of the engine's own rule."]
    said = (
        f"The best policy here, {best.policy}, would have given a mean latency of "
        f"{duration(figures.mean_latency_ms)}, {1 - figures.mean_latency_ms / usual:.0%} less "
        "than the engine's own rule"
    )
    known = {each.lengths: each for each in hindsight.lengths}
    if "exact" not in known or known["exact"].policy != best.policy:
        return [_spaced(f"{said}.")]
    others = [
        f"{words} {known[kind].policy.partition(':')[0]} would have given "
        f"{duration(known[kind].figures.mean_latency_ms)}"
        for kind, words in KNOWING.items()
        if kind in known
    ]
    told = f"It knows every output length in advance{'; ' if others else ''}{'; '.join(others)}."
    return [_spaced(f"{said}."), told]


def _knobs(hindsight: Hindsight) -> list[str]:
    turned = [knob for knob in hindsight.knobs if knob.name not in NOT_TURNED]
    if not turned:
        return []
    best = min(turned, key=lambda knob: knob.relative)
    if best.relative > -0.01:
        return ["No knob of the engine gains 1 % of the mean latency."]
    return [
        _spaced(
            f"Of the engine's knobs, {knob_name(best)} gains most: a mean latency of "
            f"{duration(best.figures.mean_latency_ms)} by the engine's own rule, "
            f"{-best.relative:.0%} less."
        )
    ]


def knob_name(knob: Knob) -> str:
    """Return a knob and how it is turned."""
    return f"{knob.name} {knob.change}"


def _sharpness(hindsight: Hindsight) -> list[str]:
    gap = hindsight.speed_equivalent_gap
    if gap is None or not 0 < gap < 1:
        return []
    faster = f"a GPU that is {percent(gap)} faster"
    return [f"On {faster}, the best schedule would reach the lower bound."]


def _spaced(text: str) -> str:
    """Put a space before every percent sign.

    Examples
    --------
    >>> _spaced("1.5% of 95 %")
    '1.5 % of 95 %'
    """
    return re.sub(r"(?<=\d)%", " %", text)


def duration(ms: float) -> str:
    """Return milliseconds for people.

    Examples
    --------
    >>> duration(86578.3), duration(433.21), duration(3.14159)
    ('86.58 s', '433 ms', '3.14 ms')
    """
    if ms >= 1000:
        return f"{ms / 1000:,.2f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
