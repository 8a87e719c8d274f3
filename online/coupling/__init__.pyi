from .bayes_selector import BayesSelector as BayesSelector
from .compensation import run_account as run_account
from .estimate import ClosedForm as ClosedForm
from .estimate import SampledHindsight as SampledHindsight
from .futures import Future as Future
from .history import Past as Past
from .oracle import FormulaOracle as FormulaOracle
from .oracle import RecursionOracle as RecursionOracle
