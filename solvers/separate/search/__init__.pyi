from .encoding import plain_encoding as plain_encoding
from .recipe import improve_separate as improve_separate
from .schedule_builder import REJECTED as REJECTED
from .schedule_builder import schedule_of as schedule_of
