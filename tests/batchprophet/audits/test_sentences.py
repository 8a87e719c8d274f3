"""Every sentence that an audit can say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from batchprophet.audits.sentences import assumptions, explained, law_sentence, reading
from batchprophet.online.audit.figures import ServiceFigures
from batchprophet.online.calibration.errors import Errors
from batchprophet.online.calibration.explanation import Explanation
from batchprophet.online.calibration.fit import Coefficient
from batchprophet.online.calibration.signs import Sign

ERRORS = Errors(
    requests=1300, mean_latency=-0.004, mean_ttft=0.1, median_request=0.0141, p95_request=0.0592,
    mean_request_ms=9.0,
)  # fmt: skip
FINE = Explanation(explained=True, why="", errors=ERRORS)


def figures(mean):
    return ServiceFigures(
        mean_latency_ms=mean, p99_latency_ms=2 * mean, mean_ttft_ms=1.0, mean_tpot_ms=1.0
    )


def knob(name, change, relative):
    return SimpleNamespace(
        name=name, change=change, relative=relative, figures=figures(1000 * (1 + relative))
    )


def hindsight(**changes):
    """Best schedule 500 ms, bound 400 ms; least-work 600 ms by all lengths."""
    best = SimpleNamespace(policy="least-work")
    known = [("exact", "least-work", 600.0), ("predicted", "least-work:lengths=predicted", 700.0),
             ("none", "vllm", 1000.0)]  # fmt: skip
    found = {
        "figures": figures(500.0), "lower_bound_ms": 400.0, "speed_equivalent_gap": 0.0831,
        "policies": ((best, figures(600.0)),), "other_laws": (), "knobs": (
            knob("order", "least-work", -0.4), knob("GPU", "10% faster", -0.3),
            knob("load", "× 0.8", -0.25), knob("KV memory", "× 2", -0.2), knob("seats", "× 2", 0.0),
        ),
        "lengths": tuple(
            SimpleNamespace(lengths=kind, policy=policy, figures=figures(mean))
            for kind, policy, mean in known
        ),
    }  # fmt: skip
    return SimpleNamespace(**(found | changes))


def audit(engine=1000.0, failed=0, fit=None, explanation=FINE, laws=None, **changes):
    seen = hindsight(**changes) if explanation.explained else None
    ratio = None
    if seen is not None:
        bound = seen.lower_bound_ms
        ratio = (engine / seen.figures.mean_latency_ms, engine / bound if bound else None)
    return SimpleNamespace(
        ratio=ratio, ratio_over_laws=laws, hindsight=seen, logged=figures(engine), fit=fit,
        simulated=figures(1000.0), explanation=explanation, log=SimpleNamespace(failed=failed),
        engine=SimpleNamespace(rule="vllm"),
    )  # fmt: skip


def fit(*missing):
    """A law whose coefficients of these names are not identified."""
    values = {"c0": 15.15, "c1": 0.09, "c2": 0.05, "c3": 2e-4}
    coefficients = tuple(
        Coefficient(name=name, value=value, low=0.0 if name in missing else value, high=2 * value)
        for name, value in values.items()
    )
    job = Coefficient(name="c2 + c3·1,204", value=0.29, low=0.28, high=0.3)
    return SimpleNamespace(coefficients=coefficients, not_identified=missing, token_job=job)


def test_a_clear_answer():
    said = reading(audit(), [])
    assert said == [
        "The engine's mean latency of 1.00 s is between 2.0000 and 2.5000 times the best possible: "
        "a schedule with 500 ms is known, and none has less than 400 ms.",
        "The model explains the log: the rule vllm gives the mean latency within 0.4 %, and a "
        "request's within 1.4 % (median) and 5.9 % (95 % of them), over 1,300 requests.",
        "The best policy here, least-work, would have given a mean latency of 600 ms, 40 % less "
        "than the engine's own rule.",
        "It knows every output length in advance; with lengths predicted from prompts, least-work "
        "would have given 700 ms; without any, vllm would have given 1.00 s.",
        "Of the engine's knobs, KV memory × 2 gains most: a mean latency of 800 ms by the "
        "engine's own rule, 20 % less.",
        "On a GPU that is 8.31 % faster, the best schedule would reach the lower bound.",
    ]


def test_headlines_of_less_clear_answers():
    assert reading(audit(lower_bound_ms=None), [])[0] == (
        "The engine's mean latency of 1.00 s is at least 2.0000 times the best possible: a "
        "schedule with 500 ms is known."
    )
    assert reading(audit(engine=499.0), [])[0] == (
        "The engine's mean latency of 499 ms is at most 1.2475 times the best possible: no "
        "schedule has less than 400 ms, and none better than the engine's is known."
    )


def test_what_is_left_out_or_assumed_is_said():
    said = reading(audit(failed=1), ["256 seats (vLLM's default)", "KV memory of 9 tokens"])
    assert said[2] == (
        "The log does not tell everything. Assumed: 256 seats (vLLM's default); KV memory of 9 "
        "tokens."
    )
    assert said[3] == "1 request failed and is left out."
    assert reading(audit(failed=1200), [])[2] == "1,200 requests failed and are left out."
    assert assumptions([]) == []


def test_nothing_that_helps_is_said_too():
    best = ((SimpleNamespace(policy="orca"), figures(999.0)),)
    said = reading(audit(policies=best, knobs=(knob("seats", "× 2", -0.004),)), [])
    assert said[2:4] == [
        "No policy here has a mean latency clearly below that of the engine's own rule.",
        "No knob of the engine gains 1 % of the mean latency.",
    ]
    assert "knob" not in " ".join(reading(audit(knobs=()), []))
    assert "GPU" not in " ".join(reading(audit(speed_equivalent_gap=None), []))


def test_a_best_policy_that_needs_no_lengths_has_no_caveat():
    best = ((SimpleNamespace(policy="orca"), figures(600.0)),)
    assert "every output length" not in " ".join(reading(audit(policies=best), []))


def test_other_laws():
    said = reading(audit(fit=fit(), laws=(1.9, 2.6), other_laws=((1, 1), (2, 2))), [])
    assert said[1] == (
        "Over 3 laws that explain the log about equally well, the interval is 1.9000 to 2.6000."
    )
    assert said[2].endswith("over 1,300 requests held out of the fit.")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ((), "c3 0.0002 (0.0002 to 0.0004)."),
        (("c1",), " The log does not determine c1 on its own."),
        (
            ("c2", "c3"),
            " The log does not determine c2 and c3 one by one; together, a token job at the mean "
            "context takes c2 + c3·1,204 = 0.29 ms (0.28 to 0.3).",
        ),
        (("c0", "c1"), " The log does not determine c0 and c1 one by one."),
        (("c0", "c2", "c3"), " The log does not determine c0, c2 and c3 one by one; together, a"),
    ],
)
def test_what_of_a_law_the_log_does_not_tell(missing, said):
    text = law_sentence(fit(*missing))
    assert said in text
    assert text.startswith("Fitted batch times in ms, with joint intervals of about 95 %: c0 15.15")
    assert " and c2 and " not in text


def test_what_speaks_against_the_model():
    size = (
        "the rule vllm gives the mean latency within 0.4 %, and a request's within 1.4 % (median) "
        "and 5.9 % (95 % of them), over 1,300 requests"
    )
    far = Explanation(explained=False, why="", errors=ERRORS)
    assert explained(far, "vllm", held_out=False) == [
        f"It is not near enough: {size}.",
        "That points to another scheduler, other limits, or other work on the GPU.",
    ]
    signs = (Sign(cause="rule", text="1.2% overtake"), Sign(cause="failed", text="3 failed"))
    seen = Explanation(explained=False, why="", errors=ERRORS, signs=signs)
    said = reading(audit(explanation=seen, fit=fit()), [])  # its law means nothing
    assert said == [
        "The model does not explain this log, so nothing is claimed about the best possible.",
        "Seen: 1.2 % overtake.",
        "Seen: 3 failed.",
        f"For comparison, {size} held out of the fit.",
    ]
