"""What the package logs, as the command line shows it."""

import logging

import pytest

from edgekd.cli.main import WarningLines, main


@pytest.fixture(autouse=True)
def without_the_handler():
    logger = logging.getLogger("edgekd")
    before = list(logger.handlers)
    logger.handlers[:] = []
    yield
    logger.handlers[:] = before


def test_a_warning_is_one_line_on_stderr_however_often_a_command_ran(capsys):
    for _ in range(3):
        assert main(["--version"]) == 0
    capsys.readouterr()
    logging.getLogger("edgekd.tensorrt").warning("of %d\n  lines", 2)
    logging.getLogger("edgekd.runner").error("worse")
    logging.getLogger("edgekd.runner").info("of no interest")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "edgekd: warning: of 2 lines\nedgekd: warning: worse\n")


def test_what_others_log_is_theirs(capsys):
    assert main(["--version"]) == 0
    assert not any(isinstance(handler, WarningLines) for handler in logging.getLogger().handlers)


def test_a_package_that_is_only_imported_installs_nothing():
    assert logging.getLogger("edgekd").handlers == []
