from .sublimation import prove_by_paths as prove_by_paths
