"""The instance of ``batchprophet demo``: small enough that its optimum is proved in seconds."""

from __future__ import annotations

from .models.families import make_instance
from .models.instance import Instance


def demo_instance() -> Instance:
    """Return twelve requests of arrival model 2 of arXiv 2502.07115, always the same.

    The seed is one of those where no policy finds the optimum.

    Examples
    --------
    >>> demo_instance().n
    12
    """
    drawn = make_instance("arrival-model-2", seed=24, settings={"n": 12, "rate": 1.5})
    return drawn.replace(name="demo")
