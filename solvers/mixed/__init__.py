"""Mixed batching: hindsight schedules and lower bounds."""
