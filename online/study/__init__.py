"""Experiments: a grid of instances, seeds, policies and limits, run so that it can be trusted."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
