from .witness import recheck as recheck
from .witness import write_witness as write_witness
from .worst_case import find_worst_case as find_worst_case
