"""What is said where another rule, another law, or another clock would explain a log better."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.online.calibration.errors import errors
from batchprophet.online.calibration.explanation import explain
from batchprophet.online.calibration.other_rules import _apart, nearer_law, nearer_rule
from batchprophet.online.calibration.replay import replay
from batchprophet.online.calibration.signs import (
    CLOCKS_APART,
    DOUBTFUL,
    kinds_apart,
    signs_of,
)
from tests.engine_simulator import log_of
from tests.synthetic_logs import drawn, model_of


def served(seed=1, *, loaded=True, **options):
    """A log of an engine without noise, what the audit knows of it, and its law."""
    engine, jobs, _ = drawn(seed, loaded=loaded)
    engine.jitter = 0.0
    for name, value in options.items():
        setattr(engine, name, value)
    engine.serve(jobs)
    return (
        log_of(jobs),
        model_of(engine),
        AffineTime(**dict(zip(["c0", "c1", "c2", "c3"], engine.law, strict=True))),
    )


def times(law, factor):
    return AffineTime(
        c0=factor * law.c0, c1=factor * law.c1, c2=factor * law.c2, c3=factor * law.c3
    )


def judged(log, engine, law):
    played = replay(log, engine, law)
    return explain(log, engine, played, errors(log, played), given=True)


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_a_given_law_that_does_not_fit_is_not_taken_for_another_rule(factor):
    # The engine follows the rule to the microsecond: only its law is another one.
    log, engine, law = served()
    found = judged(log, engine, times(law, factor))
    assert not found.explained
    assert [sign.cause for sign in found.signs] == ["law"]
    assert "--batch-time fit" in found.why
    assert "--rule" not in found.why


def test_advice_on_a_given_law_does_not_go_in_a_circle():
    # From each rule, with the same law, advice leads to a rule that is nearer, and never back.
    log, engine, law = served()
    for rule in ("vllm", "prefill-first", "shortest-total", "mc-sf"):
        seen, other = set(), replace(engine, rule=rule)
        while other.rule not in seen:
            seen.add(other.rule)
            sign = nearer_rule(log, other, replay(log, other, law), given=True)
            if sign is None:
                break
            other = replace(engine, rule=sign.text.rpartition("--rule ")[2])
        else:
            pytest.fail(f"a circle from {rule}: {seen}")
        assert other.rule.startswith("vllm")  # that of the engine


def test_another_rule_is_not_taken_for_another_law():
    # The given law is the true one, and another rule with it is as near as can be.
    log, engine, law = served()
    other = replace(engine, rule="prefill-first")
    assert nearer_law(log, other, replay(log, other, law)) is None


def test_a_delay_is_not_taken_for_another_law():
    log, engine, law = served(loaded=False)
    causes = {sign.cause for sign in judged(apart(log, 1), engine, law).signs}
    assert "delay" in causes
    assert "law" not in causes


def test_prompts_in_batches_of_their_own_are_named_with_few_requests():
    # Too few last tokens to be sure by themselves, where the law is not near either.
    log, engine, law = served(prompts_first=True, budget=8192)
    played = replay(log, engine, law)
    sign = kinds_apart(log, played, DOUBTFUL)
    assert "--regime separate" in sign.text
    assert kinds_apart(log, played, 0.0) is None


def test_the_true_law_and_rule_are_explained():
    log, engine, law = served()
    assert judged(log, engine, law).explained


def apart(log, seconds):
    """The log with arrivals by a clock that is so many seconds slow."""
    later = round(1e6 * seconds)
    return replace(log, first_token=log.first_token + later, last_token=log.last_token + later)


@pytest.mark.parametrize("seconds", [CLOCKS_APART, 3600])
def test_clocks_that_are_apart_are_named_and_no_rule_is(seconds):
    log, engine, law = served()
    wrong = apart(log, seconds)
    found = judged(wrong, engine, law)
    assert [sign.cause for sign in found.signs] == ["clock"]
    assert f"every first token comes {seconds:,} s or more after" in found.why
    assert "--rule" not in found.why
    assert "e+" not in found.why


def test_a_long_queue_is_no_other_clock():
    # The first request finds no queue, however long the last ones wait.
    log, engine, law = served(seats=1)
    assert log.time_to_first_token.max() > 1e6 * CLOCKS_APART
    assert "clock" not in {sign.cause for sign in signs_of(log, engine, replay(log, engine, law))}


def test_large_distances_have_no_exponent():
    assert _apart(1512345.6, 2e6) == "1,512,346 instead of 2,000,000 ms from a token's time"
