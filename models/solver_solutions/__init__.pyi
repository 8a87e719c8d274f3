from .reading import read_values as read_values
from .values import SolverSolution as SolverSolution
