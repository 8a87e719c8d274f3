"""One audit of a small synthetic log, for all tests of what an audit shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import batchprophet as bp
from tests.engine_simulator import EngineUnderTest, log_of, requests

LAW = (9.82, 0.0442, 0.0366, 9.4e-5)
BATCH_TIME = "affine:c0=9.82,c1=0.0442,c2=0.0366,c3=9.4e-5"


def served(n=40, **options):
    engine = EngineUnderTest(LAW, seats=4, **options)
    jobs = requests(n, 8.0, np.random.default_rng(3), scale=0.3)
    engine.serve(jobs)
    return log_of(jobs)


def written(folder: Path, log) -> Path:
    """The log as LLMServingSim writes it, with a meta.json beside it."""
    rows = [
        {
            "request_id": f"bench-{i}", "input_toks": int(log.prompt[i]),
            "output_toks": int(log.output[i]), "queued_ts": log.arrival[i] / 1e6,
            "first_token_ts": log.first_token[i] / 1e6, "last_token_ts": log.last_token[i] / 1e6,
        }
        for i in range(log.n)
    ]  # fmt: skip
    meta = {
        "kv_cache": {"num_kv_tokens": 20_000, "block_size": 16},
        "engine_kwargs": {"max_num_seqs": 4, "max_num_batched_tokens": 2048},
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    path = folder / "requests.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def audited(tmp_path_factory):
    """Without a time limit to search in, which would compile what these tests do not need."""
    path = written(tmp_path_factory.mktemp("log"), served())
    return bp.audit(path, batch_time=BATCH_TIME, time_limit=0, slo="ttft=500,tpot=60")
