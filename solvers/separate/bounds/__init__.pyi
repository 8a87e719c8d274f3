from .class_relaxation import class_prices as class_prices
from .gpu_path_prices import path_prices as path_prices
