"""Separate batching: a batch holds only prompt jobs or only token jobs (model/separate.md §1)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
