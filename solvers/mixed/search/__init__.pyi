from .greedy import greedy_starts as greedy_starts
from .profile import add_run as add_run
from .profile import earliest_start as earliest_start
from .recipe import improve_schedule as improve_schedule
