"""The classes of requests that are equal from now on, as `classes` has them; without Pyomo."""

from __future__ import annotations

from dataclasses import dataclass

from ...instance import Instance
from .request_types import type_key


@dataclass(frozen=True, slots=True)
class RunningClass:
    """Requests that hold h tokens and have r ≥ 1 token jobs to go, and are equal from then on.

    Attributes
    ----------
    held : int
        h, the tokens held.
    to_go : int
        r, the token jobs to go.
    members : tuple of int
        Requests that pass through the class.
    following : int or None
        The class after one more job; None if that job is the last.
    """

    held: int
    to_go: int
    members: tuple[int, ...]
    following: int | None


def running_classes(
    instance: Instance, objective: str, requests: list[int]
) -> tuple[list[RunningClass], dict[int, int]]:
    """Return the classes of some requests, and the class of each when its prompt is read.

    Classes come by increasing r. A request with one token of output only is in none.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 4], output=[3, 2])
    >>> classes, entry = running_classes(instance, "latency", [0, 1])
    >>> [(c.held, c.to_go, c.members, c.following) for c in classes]
    [(5, 1, (0, 1), None), (4, 2, (0,), 0)]
    >>> entry
    {0: 1, 1: 0}
    """
    members: dict[tuple[float, ...], list[int]] = {}
    for i in requests:
        s, o, *others = type_key(instance, objective, i)
        for g in range(1, int(o)):
            members.setdefault((o - g, s + g, *others), []).append(i)
    keys = sorted(members)
    number = {key: c for c, key in enumerate(keys)}
    classes = [
        RunningClass(
            held=int(h),
            to_go=int(r),
            members=tuple(members[r, h, *others]),
            following=number[r - 1, h + 1, *others] if r > 1 else None,
        )
        for r, h, *others in keys
    ]
    entry = {}
    for i in requests:
        s, o, *others = type_key(instance, objective, i)
        if o > 1:
            entry[i] = number[o - 1, s + 1, *others]
    return classes, entry
