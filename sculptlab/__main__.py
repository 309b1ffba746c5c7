"""`python -m sculptlab` is the command line, as `sculptlab` is; `torchrun -m sculptlab train` needs it."""

import sys

from sculptlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
