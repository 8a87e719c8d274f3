"""``python -m batchprophet``."""

from .cli import main

if __name__ == "__main__":
    main()
