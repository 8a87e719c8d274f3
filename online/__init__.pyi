from .conformance import check_policy as check_policy
from .evaluation import Comparison as Comparison
from .evaluation import PolicyResult as PolicyResult
from .evaluation import compare as compare
from .gittins import GittinsIndex as GittinsIndex
from .protocol import session as session
from .registry import policy_spec as policy_spec
from .regret import measure_regret as measure_regret
