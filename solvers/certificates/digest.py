"""The data that a bound is about, as one number."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ...models.instance import Instance
from ...models.objectives import due_times, latest_completion
from ...models.regimes import regime


def instance_digest(instance: Instance, objective: str, model: str = "mixed") -> str:
    """SHA-256 of the instance's data that the objective looks at, in hexadecimal digits.

    The data are written as JSON without spaces, keys in this order: ``kv_capacity``; ``requests``,
    the rows ``[arrival, prompt, output]`` in the instance's order; ``weight`` for the weighted
    completion and the tardiness; for the tardiness ``due``, the deadlines; for the reward,
    ``reward`` and ``latest``, the latest completion that earns it. Weights and rewards are the
    strings of the shortest decimals that give the same 64-bit numbers. Under separate batching
    ``batches`` comes last: B_P, C_P and B_D, null where there is no limit, and the batch-time law's
    name and numbers. Names play no part.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> text = '{"kv_capacity":9,"requests":[[0,3,4],[2,1,2]]}'
    >>> instance_digest(instance, "latency") == hashlib.sha256(text.encode()).hexdigest()
    True
    """
    columns = (instance.arrival.tolist(), instance.prompt.tolist(), instance.output.tolist())
    data: dict[str, Any] = {
        "kv_capacity": int(instance.gpu.kv_capacity),
        "requests": list(zip(*columns, strict=True)),
    }
    if objective in ("weighted", "tardiness"):
        data["weight"] = [repr(w) for w in instance.weight.tolist()]
    if objective == "tardiness":
        data["due"] = due_times(instance).tolist()
    if objective == "reward":
        data["reward"] = [repr(r) for r in instance.reward.tolist()]
        data["latest"] = latest_completion(instance).tolist()
    data |= regime(model).digest(instance.gpu)
    return hashlib.sha256(json.dumps(data, separators=(",", ":")).encode()).hexdigest()
