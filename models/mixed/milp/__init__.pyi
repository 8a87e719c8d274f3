from .formulation import FORMULATIONS as FORMULATIONS
from .formulation import build_model as build_model
from .from_variables import decode as decode
from .from_variables import set_start as set_start
from .horizon import latest_starts as latest_starts
