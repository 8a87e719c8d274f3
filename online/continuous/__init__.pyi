from .conformance import random_instance as random_instance
from .decision import ContinuousDecision as ContinuousDecision
from .observation import ContinuousObservation as ContinuousObservation
from .observation import ContinuousView as ContinuousView
from .policy import REGISTRY as REGISTRY
from .policy import ContinuousPolicy as ContinuousPolicy
from .policy import make_policy as make_policy
from .simulator import simulate_continuous as simulate_continuous
