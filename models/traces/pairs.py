"""Other traces with the same law of prompts and outputs together: pairs moved among arrivals."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..instance import Instance

#: What may be done with the pairs of a window.
KINDS = ("shuffle", "resample")


def rearranged(instance: Instance, how: str, seed: int) -> Instance:
    """Return an instance in which the pairs (prompt, output) come in another order.

    Arrivals stay. Within each window of consecutive requests the rows (prompt, output, label and
    predictions) are put in random order, or drawn with replacement: the joint law of prompt and
    output stays, and its changes from window to window. What is lost is the order within a window.

    Parameters
    ----------
    instance : Instance
        By arrival.
    how : str
        ``shuffle:K`` or ``resample:K``, K ≥ 1 requests in a window; without ``:K`` one window.
    seed : int
        ≥ 0, of the draws.

    Raises
    ------
    InputError
        If `how` is none of these.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=99), arrival=[0, 1, 5, 8], prompt=[10, 20, 30, 40],
    ...     output=[1, 2, 3, 4],
    ... )
    >>> other = rearranged(instance, "shuffle:2", seed=4)
    >>> other.arrival.tolist(), sorted(other.prompt[:2].tolist())
    ([0, 1, 5, 8], [10, 20])
    >>> (other.prompt == 10 * other.output).all().item()
    True
    """
    kind, size = _read(how, instance.n)
    rng = np.random.default_rng(seed)
    rows = np.arange(instance.n)
    for first in range(0, instance.n, size):
        window = rows[first : first + size]
        window[:] = (
            rng.permutation(window) if kind == "shuffle" else rng.choice(window, window.size)
        )
    taken = instance.replace(id=None).take(rows)
    return taken.replace(arrival=instance.arrival, id=instance.id)


def _read(how: str, n: int) -> tuple[str, int]:
    kind, colon, size = how.partition(":")
    whole = size.isascii() and size.isdigit() and int(size) >= 1
    if kind not in KINDS or (colon and not whole):
        raise InputError(
            f"pairs: expected shuffle, resample, shuffle:K or resample:K with K ≥ 1, found {how!r}"
        )
    return kind, int(size) if colon else n
