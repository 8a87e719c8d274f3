"""The mixed-batching MILP in Pyomo, in two forms."""
