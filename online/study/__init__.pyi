from .cell import Cell as Cell
from .engine import LocalProcesses as LocalProcesses
from .reading import read_study as read_study
from .recipe import run_study as run_study
from .result import CellResult as CellResult
from .study import Study as Study
