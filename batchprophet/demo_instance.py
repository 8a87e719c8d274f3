"""The instance of ``batchprophet demo``: small enough that its optimum is proved in seconds."""

from __future__ import annotations

from .models.families import make_instance
from .models.instance import Instance


def demo_instance() -> Instance:
    """Return twelve requests of arrival model 2 of arXiv 2502.07115 on a GPU of 16 KV tokens.

    The seed is fixed, and such that no policy finds the optimum.

    Examples
    --------
    >>> demo_instance().n
    12
    """
    settings = {"n": 12, "rate": 1.0, "kv_capacity": 16}
    return make_instance("arrival-model-2", seed=8, settings=settings).replace(name="demo")
