"""Pictures of schedules, regret and comparisons."""
