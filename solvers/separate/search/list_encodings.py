"""Encodings of list schedules by several orders and rules when prompt batches open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ....models.instance import Instance, IntArray
from ....models.separate.columns import Columns, earlier_jobs
from ....models.separate.problem import Problem, separate_problem
from ....models.separate.schedule import Kind, SeparateSchedule
from ..compiled_instance import prompt_time, token_time
from .encoding import MOST_URGENT, Encoding, plain_encoding
from .schedule_builder import REJECTED, total_latency, working_space

#: Token batches between two prompt batches, at least, that are tried, as shares of the mean output.
GAPS = (0.0, 0.25, 0.5, 1.0)

#: Numbers of requests that a prompt batch waits for, as far as a batch may hold them.
LEASTS = (2, 4, 8)

#: Weights of the output and the prompt beside the arrival in the keys that orders are sorted by,
#: in units of the mean interarrival time per mean length.
WEIGHTS = ((0.0, 0.0), (1.0, 0.0), (3.0, 0.0), (3.0, 3.0), (10.0, 0.0), (1e6, 0.0), (1e6, 1e6))


def list_encodings(instance: Instance) -> Iterator[tuple[str, Encoding]]:
    """Yield encodings of list schedules with their names: first come first served before others.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> name, encoding = next(list_encodings(instance))
    >>> name, encoding.order.tolist(), encoding.wait.tolist(), encoding.least.tolist()
    ('list schedule by arrival', [0, 1], [0, 0], [1, 1])
    """
    return first_encodings(
        separate_problem(instance), np.arange(instance.n), int(instance.arrival.min())
    )


def first_encodings(problem: Problem, who: IntArray, now: int) -> Iterator[tuple[str, Encoding]]:
    """Yield such encodings of some requests, from a time on.

    An order sorts by arrival + α·output + β·prompt, with the `WEIGHTS`. Each is tried with prompt
    batches the `GAPS` apart, with and without overtaking, and with such as wait for one of the
    `LEASTS`.
    """
    if who.size == 0:
        yield "nobody", plain_encoding(who, problem.arrival.size)
        return
    a = np.maximum(problem.arrival[who], now).astype(float)
    s, o = problem.prompt[who].astype(float), problem.output[who].astype(float)
    spread = (float(np.ptp(a)) + 1.0) / who.size
    for alpha, beta in WEIGHTS:
        key = a + spread * (alpha * o / o.mean() + beta * s / s.mean())
        order = who[np.lexsort((a, key))]
        name = "arrival" if alpha == beta == 0 else f"arrival + {alpha:g} output + {beta:g} prompt"
        for gap in GAPS:
            tokens = round(gap * float(o.mean()))
            suffix = f", prompt batches {tokens} token batches apart" if gap else ""
            for firm, how in enumerate(("", ", strictly")):
                encoding = plain_encoding(order, problem.arrival.size, wait=tokens, firm=firm)
                yield f"list schedule by {name}{how}{suffix}", encoding
        for least in LEASTS:
            if least <= problem.B_P:
                encoding = plain_encoding(order, problem.arrival.size, least=least)
                yield f"list schedule by {name}, prompt batches for {least} or more", encoding


def encodings_by_starts(instance: Instance, starts: IntArray) -> Iterator[tuple[str, Encoding]]:
    """Yield encodings with prompt batches about at given times, as far as the limits allow.

    Requests come in the order of arrival, with and without overtaking.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> name, encoding = next(encodings_by_starts(instance, np.array([0, 3])))
    >>> name, encoding.order.tolist(), encoding.wait.tolist(), encoding.least.tolist()
    ('prompt batches of the walk', [0, 1], [0, 2], [1, 1])
    """
    problem = separate_problem(instance)
    order = np.argsort(instance.arrival, kind="stable")
    starts = starts[: instance.n]
    between = np.diff(starts) - prompt_time(problem.law, 0)
    arrived = np.searchsorted(instance.arrival[order], starts, side="right")
    for firm, how in enumerate(("", ", strictly")):
        encoding = plain_encoding(order, instance.n, firm=firm)
        encoding.wait[1 : starts.size] = between // token_time(problem.law, 1, 0)
        encoding.least[: starts.size] = np.maximum(np.diff(arrived, prepend=0), 1)
        yield f"prompt batches of the walk{how}", encoding


def encoding_of(instance: Instance, schedule: SeparateSchedule) -> Encoding:
    """Return an encoding near a schedule: its prompt batches, with the token batches before each.

    A request that it serves while one with fewer tokens to go is left out becomes urgent if that
    improves the encoding; and all become firm if that does. The encoding's own schedule may differ,
    and be worse.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> one = [Batch("prompt", 0, (0,)), Batch("token", 1, (0,)), Batch("prompt", 2, (1,))]
    >>> encoding = encoding_of(instance, SeparateSchedule(one))
    >>> encoding.order.tolist(), encoding.wait.tolist()
    ([0, 1], [0, 1])
    """
    (prompt, size, member), starts = schedule.columns, schedule.starts
    (prompts,) = np.nonzero(prompt)
    order = member[np.repeat(prompt, size)]
    wait, least = np.zeros((2, instance.n), np.int64)
    least[:] = 1
    most = np.full(instance.n, instance.n)
    wait[: prompts.size] = np.diff(prompts, prepend=-1) - 1
    most[: prompts.size] = size[prompts]
    before = np.append(instance.arrival.min(), schedule.ends(instance))[prompts]
    read = np.cumsum(size[prompts]) - size[prompts]
    for number in np.flatnonzero(starts[prompts] > before).tolist():
        waiting = np.ones(instance.n, np.bool_)
        waiting[order[: read[number]]] = False
        least[number] = (waiting & (instance.arrival <= starts[prompts[number]])).sum()
    encoding = Encoding(order, wait, least, most, *np.zeros((2, instance.n), np.int64))
    urgency, ones = _urgency(instance, schedule.columns), np.ones(instance.n, np.int64)
    encodings = [encoding, encoding._replace(urgency=urgency)]
    encodings += [each._replace(firm=ones) for each in encodings]
    problem, space, no_log = (
        separate_problem(instance),
        working_space(instance.n),
        np.zeros(0, np.int64),
    )
    return min(
        encodings, key=lambda each: total_latency(problem, space, each, float(REJECTED), no_log)
    )


def after_batch(encoding: Encoding, kind: Kind, members: Sequence[int]) -> Encoding:
    """Return what is left of an encoding when a batch is done, be it the encoding's own or another.

    Examples
    --------
    >>> encoding = plain_encoding(np.array([2, 0, 1]), 3, wait=2)
    >>> after_batch(encoding, "prompt", [0, 2]).order.tolist()
    [1]
    >>> after_batch(encoding, "token", [1]).wait.tolist()
    [1, 2, 2]
    """
    if kind == "prompt":
        rest = encoding.order[~np.isin(encoding.order, list(members))]
        wait, least, most = (
            x[1 : 1 + rest.size] for x in (encoding.wait, encoding.least, encoding.most)
        )
        return Encoding(rest, wait, least, most, encoding.urgency, encoding.firm)
    shorter = encoding.wait.copy()
    shorter[:1] = np.maximum(shorter[:1] - 1, 0)
    return encoding._replace(wait=shorter)


def _urgency(instance: Instance, columns: Columns) -> IntArray:
    """Most urgent are requests served while one with fewer tokens to go is left out.

    Of equal batches in a row only the first counts: later its members have fewer tokens to go, and
    those left out have as many.
    """
    urgency = np.zeros(instance.n, np.int64)
    to_go = instance.output.copy()
    started = np.zeros(instance.n, np.bool_)
    (firsts,) = np.nonzero(~columns.repeated())
    times = np.diff(np.append(firsts, columns.size.size))
    left_out, end = _left_out(instance, columns), columns.end
    for b, count in zip(firsts.tolist(), times.tolist(), strict=True):
        members = columns.member[end[b] - columns.size[b] : end[b]]
        if left_out[b]:
            others = started & (to_go > 0)
            others[members] = False
            urgency[members[to_go[members] > to_go[others].min()]] = MOST_URGENT
        started[members] = True
        to_go[members] -= count
    return urgency


def _left_out(instance: Instance, columns: Columns) -> NDArray[np.bool_]:
    """Whether a request that runs is in no token job of the batch, shape (b,)."""
    before = earlier_jobs(columns.member)
    begun = columns.total((before == 0).astype(np.int64))
    done = columns.total((before + 1 == instance.output[columns.member]).astype(np.int64))
    run = np.cumsum(begun - done) - (begun - done)
    left_out: NDArray[np.bool_] = ~columns.prompt & (columns.size < run)
    return left_out
