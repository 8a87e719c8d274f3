"""KV memory that a log does not tell and that never binds: ample for every knob, and no knob."""

from __future__ import annotations

import re

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.online.calibration.capacity import ample
from tests.batchprophet.audits.conftest import BATCH_TIME, served


@pytest.fixture(scope="module")
def unknown():
    """The log does not say its KV memory, and the four seats never fill it."""
    return bp.audit(served(), max_num_seqs=4, batch_time=BATCH_TIME, time_limit=0)


def test_no_schedule_needs_more_than_ample():
    # Any 3 requests at their largest, in whole blocks; all of them where seats have no limit.
    prompt, output = np.array([10, 20, 30, 40]), np.array([6, 12, 1, 9])
    assert ample(prompt, output, 3, 1) == 49 + 32 + 31
    assert ample(prompt, output, 3, 16) == 64 + 32 + 32
    assert ample(prompt, output, None, 1) == int((prompt + output).sum())


def test_memory_that_is_not_known_is_no_knob(unknown):
    assert unknown.audit.engine.ample
    assert "KV memory" not in {knob.name for knob in unknown.knobs()}


def test_memory_stays_ample_for_more_seats(unknown):
    # As with far more memory than there could be: nothing that is assumed may bind.
    known = bp.audit(
        served(), kv_capacity=10**7, max_num_seqs=4, batch_time=BATCH_TIME, time_limit=0
    )
    found, expected = (
        {(knob.name, knob.change): knob.figures for knob in each.knobs()}
        for each in (unknown, known)
    )
    assert {key: each for key, each in expected.items() if key[0] != "KV memory"} == found


def test_one_number_of_tokens_is_said(unknown, tmp_path):
    capacity = unknown.instance.gpu.kv_capacity
    page = unknown.save(tmp_path).read_text()
    said = f"never binds ({capacity:,} tokens, the most that 4 requests hold)"
    assert said in unknown.summary()
    assert re.search(r"<d[td][^>]*>KV memory</d[td]>\s*<dd[^>]*>" + re.escape(said), page)
