from .batch_sequence import most_batches as most_batches
from .formulation import build_model as build_model
from .from_variables import decode as decode
from .from_variables import left_shifted as left_shifted
from .horizon import latest_completions as latest_completions
from .warm_start import set_start as set_start
