"""Admission to a separate-batching GPU: accept or reject at arrival, complete by the horizon."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
