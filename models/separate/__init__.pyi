from .feasibility import check_separate as check_separate
from .metrics import SeparateMetrics as SeparateMetrics
from .metrics import measure_separate as measure_separate
from .problem import require_separate as require_separate
from .schedule import Batch as Batch
from .schedule import Kind as Kind
from .schedule import SeparateSchedule as SeparateSchedule
