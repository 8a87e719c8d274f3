"""The library: instances with the best known schedule, the best proved bound, and its proof."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
