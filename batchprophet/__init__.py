"""batchprophet: hindsight-optimal LLM-inference scheduling, and how far each policy is from it.

Nothing heavy is imported before it is used: the names below load their modules on first access.

Examples
--------
>>> import batchprophet as bp
>>> instance = bp.Instance(
...     gpu=bp.Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2]
... )
>>> bp.simulate(instance, "mc-sf").metrics.total_latency
7
"""

from typing import Any

import lazy_loader

from . import moved

_lazily, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *_names]

moved.install()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "__version__":
        return _lazily(name)
    from importlib import metadata

    return metadata.version("batchprophet")


def __dir__() -> list[str]:
    return sorted(__all__)
