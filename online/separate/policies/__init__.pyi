from .bayes import Bayes as Bayes
from .bayes import BayesRun as BayesRun
