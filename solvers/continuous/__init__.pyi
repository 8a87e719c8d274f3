from .search.recipe import Search as Search
from .speed_gap import speed_equivalent_gap as speed_equivalent_gap
