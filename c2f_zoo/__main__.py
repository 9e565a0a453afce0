"""`python -m c2f_zoo` is the command `c2f`."""

import sys

from c2f_zoo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
