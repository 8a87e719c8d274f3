from .catalogue import DATA as DATA
from .catalogue import write_catalogue as write_catalogue
from .entry import Entry as Entry
from .entry import data_digest as data_digest
from .record import Made as Made
from .record import Record as Record
from .record import read_record as read_record
from .record import write_record as write_record
