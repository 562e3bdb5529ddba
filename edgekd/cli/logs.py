"""What the package logs, shown on stderr: warnings always, notes unless --quiet, details with --verbose."""

from __future__ import annotations

import logging
import sys

from edgekd.cli.text import one_line, printable_lines


class LogLines(logging.Handler):
    """Shows each record as one line on stderr; warnings and errors are marked as such."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = one_line(record.getMessage())
            mark = "" if record.levelno < logging.WARNING else "edgekd: warning: "
            print(f"{mark}{line}", file=sys.stderr)  # As it is by now: a progress bar may have taken its place.
            if record.exc_info:
                print(printable_lines(logging.Formatter().formatException(record.exc_info)), file=sys.stderr)
        except Exception:  # A warning that cannot be shown must not end the work it is about.
            self.handleError(record)


def show_logs(level: int) -> None:
    """Shows the package's log records from a level upward; once, however often it is called.

    Args:
        level: Of `logging`: WARNING for --quiet, INFO by default, DEBUG for --verbose.
    """
    logger = logging.getLogger("edgekd")
    if not any(isinstance(handler, LogLines) for handler in logger.handlers):
        logger.addHandler(LogLines())
    logger.setLevel(level)
