"""Equal requests: the exact program over the ages of what runs, for bursts and for streams."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
