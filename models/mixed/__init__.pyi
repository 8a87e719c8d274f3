from .feasibility import check_mixed as check_mixed
from .metrics import Metrics as Metrics
from .metrics import measure as measure
from .problem import require_mixed as require_mixed
from .schedule import Eviction as Eviction
from .schedule import MixedSchedule as MixedSchedule
