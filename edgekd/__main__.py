"""`python -m edgekd` is `edgekd`."""

from __future__ import annotations

import sys

from edgekd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
