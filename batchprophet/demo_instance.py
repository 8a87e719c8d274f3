"""The instance of ``batchprophet demo``: small enough that its optimum is proved in seconds."""

from __future__ import annotations

from .models.instance import Gpu, Instance


def demo_instance() -> Instance:
    """Return twelve requests whose best order no policy sees in advance.

    Lengths and arrivals follow the law of arrival model 2 of arXiv 2502.07115 (Poisson arrivals,
    s ~ U{1…5}, o ~ U{1…M − s}), drawn once and written down here.

    Examples
    --------
    >>> demo_instance().n
    12
    """
    return Instance(
        gpu=Gpu(kv_capacity=30),
        arrival=[0, 1, 1, 3, 4, 6, 6, 7, 9, 10, 12, 13],
        prompt=[4, 2, 5, 1, 3, 2, 5, 1, 4, 3, 1, 2],
        output=[21, 6, 12, 3, 17, 9, 2, 14, 5, 11, 8, 4],
        name="demo",
        provenance={"law": "arrival model 2 of arXiv 2502.07115, drawn once", "requests": 12},
    )
