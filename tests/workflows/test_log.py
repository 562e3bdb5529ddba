"""`edgekd.log`: yield by hour and source, times, drift, the last NG, exports."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import edgekd
from edgekd.errors import EdgekdError
from edgekd.result import AnomalyResult, Verdict, error_result
from edgekd.run_folder import VERDICTS_FILE
from edgekd.verdicts.log import Session, VerdictLog
from edgekd.verdicts.log_schema import MIGRATIONS
from edgekd.workflows.log import start_ms

START = int(datetime(2026, 3, 1, 13, 58, tzinfo=timezone.utc).timestamp())
GOOD = {"count": 300, "held_out": 300, "quantiles": [[0.0, 0.5], [0.5, 1.0], [1.0, 1.5]]}


def result(score: float, verdict: str = "OK", milliseconds: float = 5.0) -> AnomalyResult:
    return AnomalyResult(score, score - 1, Verdict(verdict), timings={"end_to_end": milliseconds})


def write(folder: Path, source: str, results: list[AnomalyResult], monkeypatch: Any, start: int = START) -> None:
    """Writes a verdict a minute."""
    now = start
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now * 10**9)
        patch.setattr(time, "monotonic", lambda: float(now))
        with VerdictLog(folder / VERDICTS_FILE, Session(source, "x.onnx", "ab", good_scores=GOOD), "0") as log:
            for number, each in enumerate(results):
                log.write(f"{number}.png", each, 2.0)
                now += 60
            log.event("ended", "ended")


def test_verdicts_are_counted_by_hour_and_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = [result(1.0), result(3.0, "NG", 15.0), result(1.2), error_result("cut off")]
    write(tmp_path, "line 1", one, monkeypatch)
    write(tmp_path, "line 2", [result(1.1)], monkeypatch, START + 3600)
    found = edgekd.log(tmp_path)
    assert found.verdicts == {"OK": 3, "NG": 1, "ERROR": 1}
    assert found.good_share == 0.6
    assert (found.first, found.last) == ("2026-03-01T13:58:00.000+00:00", "2026-03-01T14:58:00.000+00:00")
    assert [(row["hour"][11:16], row["source"], row["OK"], row["NG"], row["ERROR"]) for row in found.by_hour] == [
        ("13:00", "line 1", 1, 1, 0),
        ("14:00", "line 1", 1, 0, 1),
        ("14:00", "line 2", 1, 0, 0),
    ]
    assert [row["good_share"] for row in found.by_hour] == [0.5, 0.5, 1.0]
    assert found.by_hour[0]["median_score"] == 2.0
    assert found.latency_ms.keys() == {"end_to_end"}
    assert found.latency_ms["end_to_end"]["median"] == 5.0
    assert found.latency_ms["end_to_end"]["p99"] > 14
    assert [(row["name"], row["verdict"], row["time"][11:16]) for row in found.listed] == [("1.png", "NG", "13:59")]
    assert found.sessions == {"total": 2, "open": 0}
    assert found.images == {"kept": 0, "removed": 0, "bytes": 0}
    assert json.loads(json.dumps(found.to_dict()))["verdicts"] == found.verdicts


def test_only_verdicts_since_a_time_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "line", [result(1.0) for _ in range(5)], monkeypatch)
    assert edgekd.log(tmp_path, since="2026-03-01T14:00:00Z").verdicts["OK"] == 3
    assert edgekd.log(tmp_path, since=datetime(2026, 3, 1, 14, 1, tzinfo=timezone.utc)).verdicts["OK"] == 2
    nothing = edgekd.log(tmp_path, since="2026-03-02")
    assert (nothing.first, nothing.good_share, nothing.by_hour, nothing.latency_ms) == (None, None, [], {})


def test_notices_and_events_are_of_the_same_time_as_the_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute in (0, 10):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time_ns", lambda minute=minute: (START + 60 * minute) * 10**9)
            with VerdictLog(tmp_path / VERDICTS_FILE, Session("line", "x.onnx", "ab"), "0") as log:
                log.write("0.png", result(1.0), 2.0, [f"moved at {minute}"])
                log.event("ended", f"ended at {minute}")
    for limits, minutes in (
        ({"until": "2026-03-01T14:00Z"}, [0]),
        ({"since": "2026-03-01T14:00Z"}, [10]),
        ({}, [10, 0]),
    ):
        found = edgekd.log(tmp_path, **limits)  # type: ignore[arg-type]
        assert [row["notice"] for row in found.notices] == [f"moved at {minute}" for minute in minutes]
        assert [row["text"] for row in found.events] == [f"ended at {minute}" for minute in minutes]


@pytest.mark.parametrize(
    ("since", "ago"), [("2h", 7200), ("30min", 1800), ("1.5 h", 5400), ("7d", 604_800), ("90s", 90), ("1W", 604_800)]
)
def test_a_time_may_be_how_long_ago(since: str, ago: float) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    assert start_ms(since, now) == int((now.timestamp() - ago) * 1000)


def test_a_time_without_a_zone_is_that_of_this_machine() -> None:
    assert start_ms("2026-03-01T14:00") == int(datetime(2026, 3, 1, 14).timestamp() * 1000)
    assert start_ms("2026-03-01T14:00+02:00") == start_ms("2026-03-01T12:00Z")


@pytest.mark.parametrize("since", ["yesterday", "2 fortnights", "", "99999999999d", "0001-01-01"])
def test_what_is_no_time_is_one_line(since: str) -> None:
    with pytest.raises(EdgekdError, match="is not a time: expected one such as"):
        start_ms(since)


def test_scores_that_moved_are_reported_across_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    for run in range(8):  # Of thirty parts each: none is long enough for a monitor of its own.
        scores = random.normal(1.0 if run < 4 else 1.6, 0.2, 30)
        write(tmp_path, "line", [result(score) for score in scores], monkeypatch, START + 1800 * run)
    (drift,) = edgekd.log(tmp_path).drift
    assert drift["good_median"] == 1.0
    assert drift["first_median"] == pytest.approx(1.0, abs=0.1)
    assert drift["last_median"] == pytest.approx(1.6, abs=0.1)
    (line,) = drift["notices"]
    assert line.startswith("scores have moved up since ")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_verdicts_are_exported_with_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    write(tmp_path, "line", [result(1.0), result(3.0, "NG"), error_result("cut, off")], monkeypatch)
    file = tmp_path / f"x{suffix}"
    assert edgekd.log(tmp_path, export=file).exported == 3
    read = pl.read_parquet if suffix == ".parquet" else pl.read_csv
    table = read(file)
    assert table["verdict"].to_list() == ["OK", "NG", "ERROR"]
    assert table["error"].to_list() == [None, None, "cut, off"]
    times = table["time"] if suffix == ".csv" else table["time"].dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    assert times[1] == "2026-03-01T13:59:00.000Z"
    assert edgekd.log(tmp_path, export=file, verdict="NG", since="2026-03-01T13:59Z").exported == 1
    assert read(file)["name"].to_list() == ["1.png"]


def test_what_cannot_be_exported_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(EdgekdError, match=r"must end in \.parquet or \.csv"):
        edgekd.log(tmp_path, export=tmp_path / "x.xlsx")
    with pytest.raises(EdgekdError, match=r"holds no verdicts\.sqlite"):
        edgekd.log(tmp_path)


def test_the_sqlite_shell_shows_readable_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "line", [result(1.0)], monkeypatch)
    connection = sqlite3.connect(tmp_path / VERDICTS_FILE)
    row = connection.execute("SELECT time, source, name, verdict FROM verdicts").fetchone()
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    connection.close()
    assert row == ("2026-03-01T13:58:00.000Z", "line", "0.png", "OK")
