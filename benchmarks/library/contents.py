"""What is in the library: families with seeds and settings, and worst cases found by search."""

import json
import re
from pathlib import Path

WITNESSES = Path(__file__).resolve().parents[2] / "docs" / "worst-cases"

#: (family, settings, seeds, group, model); the name is made of them.
DRAWN = (
    ("arrival-model-1", {"n": 8}, (1, 2, 3, 4), "published law", "mixed"),
    ("arrival-model-1", {"n": 14}, (1, 2, 3), "published law", "mixed"),
    ("arrival-model-1", {"n": 20}, (1, 2), "published law", "mixed"),
    ("arrival-model-1", {}, (1, 2, 3, 4), "published law", "mixed"),
    ("arrival-model-2", {"n": 10}, (1, 2, 3), "published law", "mixed"),
    ("arrival-model-2", {"n": 20}, (1, 2), "published law", "mixed"),
    ("arrival-model-2", {}, (1, 2, 3, 4), "published law", "mixed"),
    ("azure-conversation", {"n": 100, "rate": 20.0}, (1, 2), "trace-like", "mixed"),
    ("azure-conversation", {"n": 1000, "rate": 20.0}, (1, 2), "trace-like", "mixed"),
    ("azure-conversation", {"n": 5000, "rate": 15.0}, (1,), "trace-like", "mixed"),
    ("azure-conversation", {"n": 20000, "rate": 20.0}, (1,), "trace-like", "mixed"),
    ("azure-code", {"n": 100, "kv_capacity": 16384}, (1, 2), "trace-like", "mixed"),
    ("azure-code", {"n": 1000, "kv_capacity": 16384}, (1, 2), "trace-like", "mixed"),
    ("azure-code", {"n": 10000, "kv_capacity": 16384}, (1,), "trace-like", "mixed"),
    ("lognormal-burst", {"n": 50}, (1,), "trace-like", "mixed"),
    ("lognormal-burst", {"n": 500}, (1,), "trace-like", "mixed"),
    ("lognormal-burst", {"n": 5000}, (1,), "trace-like", "mixed"),
    ("sqrt-adversary", {"kv_capacity": 64}, (0,), "adversarial", "mixed"),
    ("sqrt-adversary", {"kv_capacity": 1024}, (0,), "adversarial", "mixed"),
    ("sqrt-adversary", {"kv_capacity": 16384}, (0,), "adversarial", "mixed"),
    ("fcfs-breaker", {"kv_capacity": 36, "blocks": 1}, (0,), "adversarial", "mixed"),
    ("fcfs-breaker", {"kv_capacity": 400, "blocks": 3}, (0,), "adversarial", "mixed"),
    ("shortest-output-breaker", {"kv_capacity": 36, "blocks": 1}, (0,), "adversarial", "mixed"),
    ("shortest-output-breaker", {"kv_capacity": 400, "blocks": 3}, (0,), "adversarial", "mixed"),
    ("separate-random", {"n": 6}, (1, 2, 3), "separate batching", "separate"),
    ("separate-random", {"n": 8}, (1, 2, 3), "separate batching", "separate"),
    ("separate-random", {"n": 10}, (1, 2), "separate batching", "separate"),
    ("separate-random", {"n": 40}, (1, 2), "separate batching", "separate"),
    ("separate-conversation", {"n": 100}, (1, 2), "separate batching", "separate"),
    ("separate-conversation", {"n": 1000}, (1,), "separate batching", "separate"),
    ("separate-conversation", {"n": 1000, "rate": 10.0}, (1,), "separate batching", "separate"),
    ("continuous-random", {"n": 5, "longest": 6}, (1, 2), "continuous batching", "continuous"),
    ("continuous-random", {"n": 6, "gpu": "rtx-4090"}, (1,), "continuous batching", "continuous"),
    ("continuous-random", {"n": 8}, (1,), "continuous batching", "continuous"),
    *(
        ("continuous-conversation", {"n": n, **settings}, (1,), "continuous batching", "continuous")
        for n in (20, 100)
        for settings in (
            {"rate": 40.0, "kv_capacity": 16384},  # KV binds
            {"gpu": "rtx-4090", "rate": 20.0, "max_num_seqs": 8},  # seats bind
        )
    ),
)

#: Worst cases of policies: files of docs/worst-cases.
FOUND = ("n6-M12", "n10-M20")


def sources():
    """Yield (name, source, group, model) of every entry."""
    for family, settings, seeds, group, model in DRAWN:
        words = [_word(key, value) for key, value in settings.items()]
        for seed in seeds:
            name = "-".join([family, *words, *([f"s{seed}"] if seed else [])])
            yield name, {"family": family, "seed": seed, "settings": settings}, group, model
    for size in FOUND:
        for path in sorted(WITNESSES.glob(f"*-{size}.json")):
            record = json.loads(path.read_text())
            policy = re.sub("[^a-z0-9]+", "-", record["policy"])
            name = f"worst-case-{policy}-n{len(record['requests'])}"
            yield f"{name}-m{record['kv_capacity']}", record, "found by search", "mixed"


_SHORT = {"kv_capacity": "m", "blocks": "x", "longest": "l", "max_num_seqs": "seats"}


def _word(key, value):
    """A setting as it stands in names; a GPU needs no key."""
    return value if isinstance(value, str) else f"{_SHORT.get(key, key)}{value:g}"
