from .environment import PackingEnvironment as PackingEnvironment
from .problem import MULTI_SECRETARY as MULTI_SECRETARY
from .problem import ONLINE_PACKING as ONLINE_PACKING
from .problem import PackingProblem as PackingProblem
from .problem import scaled as scaled
from .recursion import exact_value as exact_value
