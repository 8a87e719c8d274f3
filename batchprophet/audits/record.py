"""Audits and laws as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..models.batch_time import AffineTime
from ..online.audit.audit import Audit, Hindsight
from ..online.audit.figures import ServiceFigures
from ..online.audit.knobs import Knob
from ..online.calibration.fit import FittedLaw
from ..online.calibration.law import law_text


def audit_record(audit: Audit, assumed: list[str]) -> dict[str, Any]:
    """Return an audit as the object that ``--json`` prints."""
    explanation, hindsight, ratio = audit.explanation, audit.hindsight, audit.ratio
    return {
        "log": audit.log.name,
        "sha256": audit.log.sha256,
        "format": audit.log.format,
        "requests": audit.log.n,
        "failed": audit.log.failed,
        "regime": audit.engine.regime,
        "rule": audit.engine.rule,
        "limits": asdict(audit.engine.limits),
        "assumed": assumed,
        "explained": explanation.explained,
        "why": explanation.why,
        "signs": [sign.cause for sign in explanation.signs],
        "engine": figures_record(audit.logged),
        "simulated": figures_record(audit.simulated),
        "hindsight": None if hindsight is None else _hindsight(hindsight),
        "ratio": None if ratio is None else _ratio(audit, ratio),
        "account_ms": {
            name: {part: time / audit.log.n / 1000 for part, time in asdict(account).items()}
            for name, account in audit.accounts().items()
        },
        "law": law_record(audit.law),
        "fit": {
            "errors": asdict(explanation.errors),
            **({} if audit.fit is None else fit_record(audit.fit)),
        },
        "policies": [] if hindsight is None else _policies(hindsight),
        "knobs": [] if hindsight is None else [_knob(knob) for knob in hindsight.knobs],
        "lengths": [] if hindsight is None else _lengths(hindsight),
    }


def _ratio(audit: Audit, plain: tuple[float, float | None]) -> dict[str, Any]:
    laws = audit.ratio_over_laws
    over = None if laws is None else {"low": laws[0], "high": laws[1]}
    return {"low": plain[0], "high": plain[1], "over_laws": over}


def _hindsight(hindsight: Hindsight) -> dict[str, Any]:
    solution = hindsight.comparison.solution
    return {
        **figures_record(hindsight.figures),
        "lower_bound_ms": hindsight.lower_bound_ms,
        "p99_lower_bound_ms": hindsight.p99_lower_bound_ms,
        "gap": solution.gap,
        "speed_equivalent_gap": hindsight.speed_equivalent_gap,
        "status": solution.status,
        "method": solution.method,
        "seconds": solution.seconds,
    }


def _policies(hindsight: Hindsight) -> list[dict[str, Any]]:
    return [
        {
            "policy": each.policy,
            "verdict": each.verdict,
            **({} if figures is None else figures_record(figures)),
        }
        for each, figures in hindsight.policies
    ]


def _knob(knob: Knob) -> dict[str, Any]:
    return {
        "knob": knob.name,
        "change": knob.change,
        **figures_record(knob.figures),
        "relative": knob.relative,
        "lower_bound_ms": knob.lower_bound_ms,
    }


def _lengths(hindsight: Hindsight) -> list[dict[str, Any]]:
    return [
        {"lengths": each.lengths, "policy": each.policy, **figures_record(each.figures)}
        for each in hindsight.lengths
    ]


def figures_record(figures: ServiceFigures) -> dict[str, Any]:
    """Return figures, the goodput only where there are limits."""
    record = asdict(figures)
    return (
        record
        if figures.goodput is not None
        else {key: value for key, value in record.items() if key != "goodput"}
    )


def law_record(law: AffineTime) -> dict[str, Any]:
    """Return a law as in ``instance.json``, and as ``--batch-time`` takes it."""
    own = {} if law.c0_prompt is None else {"c0_prompt": law.c0_prompt}
    record = {"law": "affine", "c0": law.c0, "c1": law.c1, "c2": law.c2, "c3": law.c3, **own}
    return record | {"batch_time": law_text(law)}


def fit_record(fit: FittedLaw) -> dict[str, Any]:
    """Return how a law was fitted."""
    return {
        "coefficients": [
            {
                "name": each.name,
                "value": each.value,
                "low": each.low,
                "high": each.high,
                "identified": each.identified,
            }
            for each in (*fit.coefficients, fit.token_job)
        ],
        "not_identified": list(fit.not_identified),
        "fitted_to": fit.requests,
        "plays": fit.plays,
    }
