"""Codes of first schedules: list schedules by several orders and switching rules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...models.instance import FloatArray, Instance, IntArray
from ...models.separate.schedule import SeparateSchedule

#: A code of `decode`: an order and waits.
Code = tuple[IntArray, IntArray]

#: Token batches between two prompt batches, at least, that are tried, as shares of the mean output.
GAPS = (0.0, 0.25, 0.5, 1.0)

#: Weights of the output and the prompt beside the arrival in the keys that orders are sorted by,
#: in units of the mean interarrival time per mean length.
WEIGHTS = ((0.0, 0.0), (1.0, 0.0), (3.0, 0.0), (3.0, 3.0), (10.0, 0.0), (1e6, 0.0), (1e6, 1e6))


def list_codes(instance: Instance) -> Iterator[tuple[str, Code]]:
    """Yield codes of list schedules with their names: first come first served before others.

    An order sorts by arrival + α·output + β·prompt. Each is tried with prompt batches as full as
    they get (whoever has arrived when a batch opens joins), after each of the `GAPS`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> name, (order, wait) = next(list_codes(instance))
    >>> name, order.tolist(), wait.tolist()
    ('list schedule by arrival', [0, 1], [0, 0])
    """
    a, s, o = (x.astype(float) for x in (instance.arrival, instance.prompt, instance.output))
    spread = (float(np.ptp(a)) + 1.0) / instance.n
    for alpha, beta in WEIGHTS:
        key = a + spread * (alpha * o / o.mean() + beta * s / s.mean())
        name = "arrival" if alpha == beta == 0 else f"arrival + {alpha:g} output + {beta:g} prompt"
        for gap in GAPS:
            tokens = round(gap * float(o.mean()))
            suffix = f", prompt batches {tokens} token batches apart" if gap else ""
            yield f"list schedule by {name}{suffix}", _code(instance, key, tokens)


def _code(instance: Instance, key: FloatArray, gap: int) -> Code:
    """A request joins its predecessor's batch if it arrives no later; else it opens another."""
    order = np.lexsort((instance.arrival, key)).astype(np.int64)
    arrival = instance.arrival[order]
    latest = np.maximum.accumulate(arrival)
    joins = np.concatenate([[False], arrival[1:] <= latest[:-1]])
    return order, np.where(joins, -1, gap).astype(np.int64)


def code_of(instance: Instance, schedule: SeparateSchedule) -> Code:
    """Return the code of a schedule's prompt batches, with the token batches before each.

    Its own schedule may differ in the token batches, and be worse.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> one = [Batch("prompt", 0, (0,)), Batch("token", 1, (0,)), Batch("prompt", 2, (1,))]
    >>> [x.tolist() for x in code_of(instance, SeparateSchedule(one))]
    [[0, 1], [0, 1]]
    """
    order: list[int] = []
    wait: list[int] = []
    tokens = 0
    for batch in schedule.batches:
        if batch.kind == "token":
            tokens += 1
            continue
        order += batch.requests
        wait += [tokens, *[-1] * (len(batch.requests) - 1)]
        tokens = 0
    return np.array(order, dtype=np.int64), np.array(wait, dtype=np.int64)
