from .prices import SCALE as SCALE
from .search import Outcome as Outcome
