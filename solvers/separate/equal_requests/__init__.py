"""Equal requests in prompt batches and token batches: programs over the ages of what runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
