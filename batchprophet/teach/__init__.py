"""What the course's notebooks need of the package: checks of answers, and data to work on.

Examples
--------
>>> import batchprophet as bp
>>> bp.teach.check("02.1", 7)
02.1: not yet. The total latency of 7 is below the proved bound: no schedule has it. Is
every request counted, from its arrival to its last token?
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
