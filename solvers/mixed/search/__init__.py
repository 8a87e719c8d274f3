"""Schedule improvement: annealing, start-time polish, large neighbourhoods."""
