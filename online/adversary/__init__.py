"""Worst cases: instances that maximise a policy's cost over the proved optimum."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
