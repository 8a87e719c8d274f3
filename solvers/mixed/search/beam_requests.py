"""The requests as the beam search has them: columns in order of KV area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....models.instance import FloatArray, Instance, IntArray
from ....models.mixed.problem import limits


class Requests(NamedTuple):
    """The requests by (KV area, prompt, arrival), times from the first arrival on.

    Attributes
    ----------
    release, prompt, output, area : ndarray of int64, shape (n,)
        a, s, o and p of each request.
    middle : ndarray of float64, shape (n,)
        μ: mean time at which a run holds its tokens, from its start.
    twin : ndarray of int64, shape (n,)
        The equal request that arrived just before, −1 for none.
    M : int
        KV capacity.
    B, C : int
        Requests and tokens that a round may have.
    """

    release: IntArray
    prompt: IntArray
    output: IntArray
    area: IntArray
    middle: FloatArray
    twin: IntArray
    M: int
    B: int
    C: int


def requests_by_area(instance: Instance) -> tuple[IntArray, Requests]:
    """Return the order by (KV area, prompt, arrival), and the requests in it.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, running_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[3, 5], prompt=[3, 1], output=[4, 2])
    >>> order, requests = requests_by_area(instance)
    >>> order.tolist(), requests.release.tolist(), requests.B, requests.C
    ([1, 0], [2, 0], 1, 4)
    """
    order = np.lexsort((instance.arrival, instance.prompt, instance.volume))
    s, o, a = instance.prompt[order], instance.output[order], instance.arrival[order]
    area = instance.volume[order]
    # Σ_j (j − ½)(s + j) = s·o²/2 + o(o + 1)(2o + 1)/6 − o(o + 1)/4.
    moment = s * o * o / 2 + o * (o + 1) * (2 * o + 1) / 6 - o * (o + 1) / 4
    twin = np.arange(-1, instance.n - 1)
    same = (s[1:] == s[:-1]) & (o[1:] == o[:-1])
    twin[1:][~same] = -1
    M, most = instance.gpu.kv_capacity, limits(instance)
    caps = (M, most.running, most.tokens)
    return order, Requests(a - a.min(), s, o, area, moment / area, twin, *caps)
