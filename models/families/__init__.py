"""Named instance families: arrival models, trace-like workloads, adversaries."""
