"""A plugin of pytest that writes each test's outcome, and the figures it recorded, into a part's file as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_script.record import Record


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, required=True, help="the part's JSON file")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Outcomes(Record(config.getoption("--outcomes"))))


class Outcomes:
    """Notes outcomes.

    Args:
        record: Of the part; `tests` is by the test's name.
    """

    def __init__(self, record: Record) -> None:
        self._record = record

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._record.put("tests", nodeid, value={"outcome": "running"})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        entry: dict[str, Any] = {"outcome": _outcome(report), "seconds": round(report.duration, 3)}
        if reason := _reason(report):
            entry["reason"] = reason
        if report.user_properties:
            entry["figures"] = dict(report.user_properties)
        self._record.put("tests", report.nodeid, value=entry)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            outcome = "error" if report.outcome == "failed" else "skipped"
            self._record.put("tests", report.nodeid, value={"outcome": outcome, "reason": _reason(report)})


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "unexpectedly passed" if report.outcome == "passed" else "failed as expected"
    return "error" if report.outcome == "failed" and report.when != "call" else report.outcome


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """One line: why a test was skipped, or what failed."""
    if report.outcome == "passed":
        return None
    if isinstance(report.longrepr, tuple):  # Of a skip: file, line, reason.
        return str(report.longrepr[2]).removeprefix("Skipped: ")[:300]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return " ".join(text.split())[:500]
