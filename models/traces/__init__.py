"""Readers of real traces, one format a file, and their conversion into instances."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
