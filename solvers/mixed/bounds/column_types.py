"""Types of running requests: what matters of one to the KV capacity from now on.

A request that holds w tokens in a round and has r rounds to go after it is of *type* (w, r). A
set of running requests is feasible from here on iff for every member j

    Σ_{l: r_l ≥ r_j} (w_l + r_j) ≤ M        (KV tokens in the round in which j completes),

so feasibility depends on the types only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....models.instance import Instance, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ColumnTypes:
    """The types that an instance's requests take.

    Attributes
    ----------
    size, to_go : ndarray of int64, shape (K,)
        w and r of each type, ordered by r falling, then by w rising.
    first : ndarray of int64, shape (n + 1,)
        Request i takes the types ``path[first[i]:first[i + 1]]`` in its rounds 1 … o_i.
    path : ndarray of int64, shape (Σ o_i,)
        Positions in `size` and `to_go`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[2, 4])
    >>> types = column_types(instance)
    >>> list(zip(types.size.tolist(), types.to_go.tolist()))
    [(2, 3), (3, 2), (4, 1), (5, 0)]
    >>> types.path.tolist()  # the first request enters as (4, 1)
    [2, 3, 0, 1, 2, 3]
    """

    size: IntArray
    to_go: IntArray
    first: IntArray
    path: IntArray


def column_types(instance: Instance) -> ColumnTypes:
    """List the types that the requests of an instance take."""
    first = np.concatenate([[0], np.cumsum(instance.output)])
    owner = np.repeat(np.arange(instance.n), instance.output)
    age = np.arange(1, first[-1] + 1) - first[owner]
    size, to_go = instance.prompt[owner] + age, instance.output[owner] - age
    wide = instance.gpu.kv_capacity + 1
    keys, path = np.unique((wide - to_go) * wide + size, return_inverse=True)
    return ColumnTypes(size=keys % wide, to_go=wide - keys // wide, first=first, path=path)


def first_rounds(instance: Instance, types: ColumnTypes) -> IntArray:
    """First round in which a request can be of each type, shape (K,): none pays for it before.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[2, 4])
    >>> first_rounds(instance, column_types(instance)).tolist()  # (4, 1) and (5, 0) from 0 on
    [3, 4, 1, 2]
    """
    owner = np.repeat(np.arange(instance.n), instance.output)
    age = np.arange(1, types.path.size + 1) - types.first[owner]
    earliest = instance.arrival[owner] + age
    rounds = np.full(types.size.size, earliest.max(), dtype=np.int64)
    np.minimum.at(rounds, types.path, earliest)
    return rounds
