from .waits_and_stalls import WaitsAndStallsProof as WaitsAndStallsProof
from .walk_search import WalkSearch as WalkSearch
