"""``python -m batchprophet``."""

from .cli import main

main()
