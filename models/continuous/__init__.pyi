from .feasibility import check_continuous as check_continuous
from .gpus import MEASURED as MEASURED
from .metrics import ContinuousMetrics as ContinuousMetrics
from .metrics import goodput as goodput
from .metrics import measure_continuous as measure_continuous
from .problem import require_continuous as require_continuous
from .schedule import Batch as Batch
from .schedule import ContinuousSchedule as ContinuousSchedule
