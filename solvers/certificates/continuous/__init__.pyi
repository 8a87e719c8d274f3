from .batch_length_prices import BatchLengthPriceProof as BatchLengthPriceProof
from .continuous_search import ContinuousSearch as ContinuousSearch
from .simple import ContinuousBound as ContinuousBound
