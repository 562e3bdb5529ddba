"""What the package logs, as the command line shows it."""

import logging

import pytest

from edgekd.cli.logs import LogLines
from edgekd.cli.main import main


@pytest.fixture(autouse=True)
def without_the_handler():
    logger = logging.getLogger("edgekd")
    before = list(logger.handlers)
    logger.handlers[:] = []
    yield
    logger.handlers[:] = before


def log_two_warnings_and_a_note():
    logging.getLogger("edgekd.tensorrt").warning("of %d\n  lines", 2)
    logging.getLogger("edgekd.runner").error("worse")
    logging.getLogger("edgekd.runner").info("a note")
    logging.getLogger("edgekd.runner").debug("a detail")


WARNINGS = "edgekd: warning: of 2 lines\nedgekd: warning: worse\n"


@pytest.mark.parametrize(
    ("flags", "shown"),
    [((), "a note\n"), (("-q",), ""), (("--quiet",), ""), (("-v",), "a note\na detail\n")],
)
def test_each_record_is_one_line_on_stderr_however_often_a_command_ran(flags, shown, capsys):
    for _ in range(3):
        assert main([*flags]) == 0
    capsys.readouterr()
    log_two_warnings_and_a_note()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", WARNINGS + shown)


def test_what_others_log_is_theirs(capsys):
    assert main(["--version"]) == 0
    assert not any(isinstance(handler, LogLines) for handler in logging.getLogger().handlers)


def test_a_package_that_is_only_imported_installs_nothing():
    assert logging.getLogger("edgekd").handlers == []
