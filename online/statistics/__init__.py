"""Statistics of policies on common instances: intervals, ratios, pairs, profiles."""
