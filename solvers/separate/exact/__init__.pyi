from .gpu_path_lookahead import path_table as path_table
from .gpu_path_lookahead import search_proof as search_proof
from .search import search_states as search_states
