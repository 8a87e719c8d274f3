from .certificate import Certificate as Certificate
from .certificate import best_certificate as best_certificate
from .clock import Clock as Clock
from .clock import NotProved as NotProved
from .file import read_certificate as read_certificate
from .file import write_certificate as write_certificate
from .verification import Verification as Verification
from .verification import verify as verify
