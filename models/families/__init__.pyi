from .arrivals import MarkovModulated as MarkovModulated
from .azure_figures import COARSE as COARSE
from .azure_figures import LEVELS as LEVELS
from .family import Family as Family
from .registry import FAMILIES as FAMILIES
from .registry import make_instance as make_instance
from .setting import Setting as Setting
