"""The command `happy-server`, also as `python -m happy`."""

import sys

from happy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
