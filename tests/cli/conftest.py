"""A run with its artifacts in every precision."""

import shutil

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
