from .grading import check as check
from .grading import exercises as exercises
from .logs import trace_like as trace_like
from .logs import write_log as write_log
from .verdict import Feedback as Feedback
