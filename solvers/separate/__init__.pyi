from .warm_up import load_compiled_code as load_compiled_code
