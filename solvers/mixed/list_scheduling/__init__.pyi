from .incumbents import list_schedules as list_schedules
