"""Continuous batching: prompt chunks and token jobs in one batch, with measured batch times."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
