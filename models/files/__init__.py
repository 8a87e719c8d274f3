"""Files: instances, schedules and solutions as JSON."""

from ..disk import write_atomically
from .gpu import gpu_record, read_gpu
from .instance_file import INSTANCE_FORMAT, encode_instance, read_instance, write_instance
from .reading import VERSION
from .solution_file import SOLUTION_FORMAT, read_schedule, schedule_record
from .writing import json_number, write_json

__all__ = [
    "INSTANCE_FORMAT",
    "SOLUTION_FORMAT",
    "VERSION",
    "encode_instance",
    "gpu_record",
    "json_number",
    "read_gpu",
    "read_instance",
    "read_schedule",
    "schedule_record",
    "write_atomically",
    "write_instance",
    "write_json",
]
