"""Fixtures of the commands' tests."""

import shutil
from collections.abc import Callable

import pytest

from ..run_command import main


@pytest.fixture(scope="session")
def run(trained_run, tmp_path_factory):
    """A copy of the trained run, with its artifacts in all precisions. Read it, do not change it."""
    folder = tmp_path_factory.mktemp("precisions") / "run"
    shutil.copytree(trained_run, folder)
    for precision in ("fp32", "fp16", "int8", "int8_fp16"):
        limit = ["--max-drift", "0.5"] if "int8" in precision else []
        assert main(["export", folder, "--precision", precision, *limit]) == 0
    return folder


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
