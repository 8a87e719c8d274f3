"""Better schedules by search: annealing, start-time polish, large neighbourhoods."""
