from .panels import last_completion as last_completion
from .panels import shared_order as shared_order
from .plots import gantt as gantt
from .plots import kv as kv
from .plots import modes as modes
from .regret import compensations as compensations
from .regret import decomposition_bars as decomposition_bars
from .regret import regret_curves as regret_curves
