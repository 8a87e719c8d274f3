"""What the problem is: instances, schedules, their checker, formulations, families, traces."""
