from .batch_sequence import most_batches as most_batches
from .formulation import build_model as build_model
from .horizon import latest_completions as latest_completions
