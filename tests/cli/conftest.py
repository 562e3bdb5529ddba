"""Fixtures of the commands' tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..run_command import main


@pytest.fixture
def run(every_precision: Path) -> Path:
    """The trained run with its artifacts in all precisions. Read it, do not change it."""
    return every_precision


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail; gives its one line."""

    def run(*words: object, code: int = 2) -> str:
        assert main([str(word) for word in words]) == code
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("edgekd: ")
        assert "Traceback" not in line
        return line

    return run
