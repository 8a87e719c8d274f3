"""The real files, against figures known of them from elsewhere."""

import numpy as np
import pytest

from batchprophet.models.traces import convert_trace
from tests.paths import SHARED

# file → format, rows, seconds, prompt mean / p50 / p99, output mean / p50 / p99 (rounded).
KNOWN = {
    "traces/azure2023_conv.csv": ("azure", 19366, 3502, (1155, 1020, 4142), (211, 129, 601)),
    "traces/azure2023_code.csv": ("azure", 8819, 3436, (2048, 1469, 7436), (28, 13, 251)),
    "traces/vidur_splitwise_code.csv": ("vidur", 8819, 3436, (2048, 1469, 7436), (28, 13, 251)),
}


def real(name):
    if not (SHARED / name).exists():
        pytest.skip(f"needs the real file {name}, which is not part of the repository")
    return SHARED / name


@pytest.mark.parametrize("name", KNOWN)
def test_azure_traces_have_their_known_figures(name):
    known, rows, seconds, prompt, output = KNOWN[name]
    converted = convert_trace(real(name), round_ms=50, kv_capacity=65536)
    assert (converted.report.format, converted.report.rows_read) == (known, rows)
    assert round(converted.report.span_seconds) == seconds
    for column, figures in (
        (converted.instance.prompt, prompt),
        (converted.instance.output, output),
    ):
        found = (column.mean(), *np.percentile(column, [50, 99]))
        assert tuple(round(figure) for figure in found) == figures


def test_vidurs_copy_of_the_azure_code_trace_is_the_same_to_the_microsecond():
    # vidur rounds to the microsecond what Azure gives to 100 ns: rounds of 1 ms may differ by one.
    azure = convert_trace(real("traces/azure2023_code.csv"), round_ms=1, kv_capacity=65536).instance
    vidur = convert_trace(
        real("traces/vidur_splitwise_code.csv"), round_ms=1, kv_capacity=65536
    ).instance
    assert np.array_equal(azure.prompt, vidur.prompt)
    assert np.array_equal(azure.output, vidur.output)
    assert np.abs(azure.arrival - vidur.arrival).max() <= 1


def test_mooncake_ties_and_long_prompts():
    converted = convert_trace(
        real("traces/mooncake_conversation.jsonl"), round_ms=1, kv_capacity=130_000
    )
    arrival = converted.instance.arrival
    assert converted.report.format == "mooncake"
    assert converted.instance.n == 12031
    # Ticks of about 3 s, nine in ten requests tied with the one before.
    assert 0.85 < np.mean(np.diff(arrival) == 0) < 0.95
    assert 120_000 < converted.instance.prompt.max() < 130_000


def test_sarathi_lengths():
    converted = convert_trace(
        real("traces/sarathi_sharegpt8k_lengths.csv"),
        round_ms=50,
        kv_capacity=8192,
        arrivals="burst",
    )
    assert (converted.report.format, converted.instance.n) == ("lengths", 30731)


def test_a_vllm_log_spans_what_its_engine_saw():
    path = real("engine-logs/vllm-rtx4090-llama-3.1-8b/requests.jsonl")
    report = convert_trace(path, round_ms=1, kv_capacity=41408).report
    assert (report.format, report.taken) == ("vllm-log", 300)
    assert report.span_seconds == pytest.approx(29.121, abs=1e-3)
