"""Bounds and proofs by paths through what runs at each round boundary: successive sublimation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
