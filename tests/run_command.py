"""Runs a command of edgekd in this process, through typer's runner."""

import sys
from collections.abc import Sequence

from typer.testing import CliRunner

from edgekd.cli.main import app


def main(words: Sequence[str]) -> int:
    """Runs a command; what it prints is printed again, where `capsys` reads it.

    Returns:
        The exit code.
    """
    result = CliRunner().invoke(app, [str(word) for word in words])
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    return result.exit_code
