from .combinatorial import CombinatorialBound as CombinatorialBound
from .configuration_prices import ConfigurationPriceProof as ConfigurationPriceProof
from .exhaustive_search import ExhaustiveSearch as ExhaustiveSearch
from .memory_prices import MemoryPriceProof as MemoryPriceProof
from .path_search import PathSearch as PathSearch
