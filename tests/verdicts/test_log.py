"""The verdict log: rows are added, never changed, and outlast the process that wrote them."""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from edgekd.errors import EdgekdError
from edgekd.result import AnomalyResult, Region, Verdict, error_result
from edgekd.run_folder import VERDICTS_FILE
from edgekd.verdicts import log_schema
from edgekd.verdicts.image_checks import Statistics
from edgekd.verdicts.log import Clock, Part, Session, VerdictLog
from edgekd.verdicts.log_export import export_log
from edgekd.verdicts.log_reading import LogReader, find_log
from edgekd.verdicts.text import from_exact_bytes

TIMES = {"pre": 1.0, "inference": 2.0, "post": 3.0, "end_to_end": 6.0}
OK = AnomalyResult(0.25, 0.5, Verdict.OK, timings=TIMES)
NG = AnomalyResult(2.0, 1.5, Verdict.NG, (Region(6, (1, 2, 3, 2), (2.0, 2.5), 4.5),), more_regions=2)
SESSION = Session("images/new", "runs/part/detector.onnx", "ab" * 32, "hkt", station="line 4")


def opened(path, **more):
    return VerdictLog(path, SESSION, "0.1.0", **more)


def rows_of(path, columns=("name", "verdict")):
    with LogReader(path) as reader:
        return reader.verdicts(columns).to_dicts()


def test_a_row_holds_what_was_judged_by_what_where_and_when(tmp_path):
    path, before = tmp_path / "deep" / VERDICTS_FILE, time.time_ns() // 1_000_000
    seen = Statistics(640, 480, 100.0, 0.0, 5.0, 0.7, 0.6)
    with opened(path) as log:
        log.write("a.png", OK, 0.5, ("scores have moved", "images are darker"), seen, 3)
        log.write("b.png", error_result("it is cut off\nhere"))
        log.write("c.png", NG, 1.0, part=Part("P-17", "L3", "cell", "mara"))
    with LogReader(path) as reader:
        export_log(reader, tmp_path / "x.parquet")
    first, second, third = pl.read_parquet(tmp_path / "x.parquet").to_dicts()
    assert before <= first.pop("time").timestamp() * 1000 <= time.time_ns() // 1_000_000
    assert json.loads(first.pop("checks")) == seen._asdict()
    assert first == {
        **{"id": 1, "source": "images/new", "name": "a.png", "name_bytes": None},
        **dict.fromkeys(("part_id", "lot", "recipe", "operator", "error", "regions", "heat_map", "original")),
        **{"score": 0.25, "severity": 0.5, "threshold": 0.5, "verdict": "OK", "more_regions": 0, "dropped": 3},
        **{"notice": "scores have moved; images are darker", "session_id": 1},
        **{"pre_ms": 1.0, "inference_ms": 2.0, "post_ms": 3.0, "end_to_end_ms": 6.0},
        **{"artifact": "runs/part/detector.onnx", "artifact_sha256": "ab" * 32, "system": "hkt"},
        **{"edgekd_version": "0.1.0", "station": "line 4"},
    }
    assert (second["verdict"], second["error"]) == ("ERROR", "it is cut off\\x0ahere")
    assert second["score"] is second["severity"] is second["threshold"] is second["pre_ms"] is None
    assert [third[name] for name in ("part_id", "lot", "recipe", "operator")] == ["P-17", "L3", "cell", "mara"]
    region = {"area": 6, "box": [1, 2, 3, 2], "centroid": [2.0, 2.5], "peak": 4.5}
    assert (json.loads(third["regions"]), third["more_regions"]) == ([region], 2)


def test_a_second_run_adds_and_replaces_nothing(tmp_path):
    for _ in range(2):
        with opened(tmp_path / "v.sqlite") as log:
            log.write("a.png", OK)
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.sqlite"]
    rows = rows_of(tmp_path / "v.sqlite", ("id", "session_id", "name"))
    assert rows == [{"id": 1, "session_id": 1, "name": "a.png"}, {"id": 2, "session_id": 2, "name": "a.png"}]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE verdict SET verdict = 'OK'",
        "DELETE FROM verdict",
        "INSERT OR REPLACE INTO verdict (id, time_ms, session_id, name, verdict, more_regions, dropped) "
        "VALUES (1, 1, 1, 'a', 'OK', 0, 0)",
        "UPDATE session SET station = 'x'",
        "DELETE FROM event",
        "UPDATE image SET path = 'other'",
        "DELETE FROM image",
    ],
)
def test_no_program_can_change_what_is_on_record(tmp_path, change):
    path = tmp_path / "v.sqlite"
    with opened(path) as log:
        log.add_image(log.write("a", NG), Verdict.NG, "heat_map", "heat_maps/a.jpg", 10)
        log.event("ended", "ended")
    with sqlite3.connect(path) as other, pytest.raises(sqlite3.IntegrityError, match=r"never|only be removed"):
        other.execute(change)
    other.close()
    assert rows_of(path) == [{"name": "a", "verdict": "NG"}]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("shift/b_\udce4.png", "shift/b_\\xe4.png"),
        ("a\n\x1b[31mOK.png", "a\\x0a\\x1b[31mOK.png"),
        ("部品 1.png", "部品 1.png"),
        ("a\u202egnp.png", "a\\u202egnp.png"),
    ],
)
def test_a_name_of_any_bytes_is_stored_shown_safely_and_comes_back(tmp_path, name, shown):
    with opened(tmp_path / "v.sqlite") as log:
        log.write(name, error_result(f"{name} is cut off"))
    (row,) = rows_of(tmp_path / "v.sqlite", ("name", "name_bytes", "error"))
    assert (row["name"], row["error"]) == (shown, f"{shown} is cut off")
    exact = row["name"] if row["name_bytes"] is None else from_exact_bytes(row["name_bytes"])
    assert exact == name


def test_time_never_runs_backwards_though_the_clock_of_the_machine_does(monkeypatch, tmp_path):
    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now)
    with opened(tmp_path / "v.sqlite") as log:
        log.write("before", OK)
    now -= 7200 * 10**9
    with opened(tmp_path / "v.sqlite") as log:
        for name in ("after", "later"):
            log.write(name, OK)
            time.sleep(0.01)
    times = [row["time_ms"] for row in rows_of(tmp_path / "v.sqlite", ("time_ms",))]
    assert times == sorted(times)
    assert 5 <= times[2] - times[1] < 5000  # It goes on, and does not stand still.


def test_a_clock_follows_the_machines(monkeypatch):
    now = 5_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now)
    clock = Clock()
    assert clock.now_ms() == 5_000_000
    now += 10**12
    assert clock.now_ms() == 6_000_000


def test_each_row_is_on_record_when_write_returns_and_others_read_meanwhile(tmp_path):
    with opened(tmp_path / "v.sqlite") as log:
        for count in range(1, 4):
            log.write("a", OK)
            assert len(rows_of(tmp_path / "v.sqlite")) == count


def test_two_processes_write_into_one_log(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from edgekd.verdicts.log import *\n"
        "with VerdictLog(Path(sys.argv[1]), Session('s', 'a', 'h'), '0') as log:\n"
        "    for number in range(200): log.write(str(number), AnomalyResult(1.0, 1.0, Verdict.OK))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "v.sqlite")]
    both = [subprocess.Popen(words) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    rows = rows_of(tmp_path / "v.sqlite", ("time_ms", "session_id"))
    assert len(rows) == 400
    assert [row["time_ms"] for row in rows] == sorted(row["time_ms"] for row in rows)
    assert {row["session_id"] for row in rows} == {1, 2}


def test_a_station_asks_for_rows_that_outlast_a_power_cut(tmp_path):
    for number, mode in ((1, "NORMAL"), (2, "FULL")):
        with opened(tmp_path / "v.sqlite", synchronous=mode) as log:
            assert log._connection.execute("PRAGMA synchronous").fetchone()[0] == number
            assert log._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_writer_leaves_every_row_that_it_printed(tmp_path):
    code = (
        "import sys, itertools; from pathlib import Path\n"
        "from edgekd.verdicts.log import *\n"
        "log = VerdictLog(Path(sys.argv[1]), Session('s', 'a', 'h'), '0')\n"
        "for number in itertools.count():\n"
        "    log.write(str(number), AnomalyResult(1.0, 1.0, Verdict.OK)); print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "v.sqlite")], stdout=subprocess.PIPE)
    shown = [process.stdout.readline() for _ in range(1500)]  # More than the file beside the database holds at once.
    os.kill(process.pid, signal.SIGKILL)
    shown += process.stdout.readlines()
    process.wait()
    with LogReader(tmp_path / "v.sqlite") as reader:
        names = reader.verdicts(("name",))["name"].to_list()
        assert reader.sessions() == {"total": 1, "open": 1}
    assert names[: len(shown)] == [line.decode().strip() for line in shown]
    assert len(names) - len(shown) in (0, 1)  # The row that was being printed.
    with opened(tmp_path / "v.sqlite") as log:
        assert log.write("next", OK) == len(names) + 1


OLDER = log_schema.MIGRATIONS
NEXT = (*OLDER, ("ALTER TABLE verdict ADD COLUMN shift TEXT", "CREATE TABLE shift (id INTEGER PRIMARY KEY)"))


def test_a_log_of_an_older_version_is_brought_to_this_one_with_its_rows(tmp_path, monkeypatch):
    path = tmp_path / "v.sqlite"
    with opened(path) as log:
        log.write("old", OK)
    monkeypatch.setattr(log_schema, "MIGRATIONS", NEXT)
    with opened(path) as log:
        log.write("new", NG)
        assert log._connection.execute("PRAGMA user_version").fetchone()[0] == len(NEXT)
        assert log._connection.execute("SELECT name, shift FROM verdict").fetchall() == [("old", None), ("new", None)]
    monkeypatch.setattr(log_schema, "MIGRATIONS", OLDER)
    for open_log in (opened, LogReader):
        with pytest.raises(
            EdgekdError, match=rf"has version {len(NEXT)} of the verdict log, this edgekd knows {len(OLDER)}: update"
        ):
            open_log(path)


def test_a_migration_that_fails_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "v.sqlite"
    with opened(path) as log:
        log.write("old", OK)
    with monkeypatch.context() as patch:
        patch.setattr(log_schema, "MIGRATIONS", (*NEXT, ("CREATE TABLE verdict (id)",)))
        with pytest.raises(EdgekdError, match="table verdict already exists"):
            opened(path)
    assert rows_of(path) == [{"name": "old", "verdict": "OK"}]


def test_reading_brings_an_older_log_to_this_version(tmp_path, monkeypatch):
    path = tmp_path / "v.sqlite"
    with opened(path) as log:
        log.write("old", OK)
    for module in (log_schema, sys.modules["edgekd.verdicts.log_reading"]):
        monkeypatch.setattr(module, "MIGRATIONS", NEXT)
    assert rows_of(path) == [{"name": "old", "verdict": "OK"}]


def test_another_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "v.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    before = path.read_bytes()
    for open_log in (opened, LogReader):
        with pytest.raises(EdgekdError, match="not a log of verdicts but another database"):
            open_log(path)
    assert path.read_bytes() == before


def damaged_anywhere(path):
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no database" * 1000), damaged_anywhere])
def test_a_damaged_log_is_one_line(tmp_path, damage):
    path = tmp_path / "v.sqlite"
    with opened(path) as log:
        for number in range(300):
            log.write(str(number), NG)
    damage(path)
    for use in (lambda: opened(path).write("a", OK), lambda: rows_of(path)):
        with pytest.raises(EdgekdError, match="not a whole log of verdicts") as caught:
            use()
        assert "\n" not in str(caught.value)


def test_a_log_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="cannot write"):
        opened(tmp_path / "file" / "v.sqlite")
    (tmp_path / "v.sqlite").mkdir()
    with pytest.raises(EdgekdError, match="cannot write"):
        opened(tmp_path / "v.sqlite")


LIMITED = """
import resource, sys
from pathlib import Path
from edgekd.errors import MachineError
from edgekd.verdicts.log import *
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
written = 0
try:
    with VerdictLog(Path(sys.argv[1]), Session('s', 'a', 'h'), '0') as log:
        for written in range(1, 100_000):
            log.write("a" * 100, AnomalyResult(1.0, 1.0, Verdict.OK))
except MachineError as error:
    print(written - 1, error)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no limits of files")
def test_a_file_that_may_not_grow_keeps_every_row_that_was_given(tmp_path):
    path = tmp_path / "v.sqlite"
    printed = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], check=True, capture_output=True, text=True
    ).stdout
    given, _, line = printed.partition(" ")
    assert "every verdict that was given is in it" in line
    assert int(given) > 10
    assert len(rows_of(path)) == int(given)


def test_a_log_in_a_folder_that_may_not_be_written_is_read(tmp_path):
    """Rows that are still in the file beside it, too; root may write anywhere, and so it is a copy on a full disk."""
    path = tmp_path / "log" / "v.sqlite"
    log = opened(path)
    log.write("a", OK)
    copy = tmp_path / "copy"
    copy.mkdir()
    for suffix in ("", "-wal"):
        (copy / f"v.sqlite{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    log.close()
    (copy / "v.sqlite-shm").mkdir()  # What SQLite would have to make.
    assert rows_of(copy / "v.sqlite") == [{"name": "a", "verdict": "OK"}]


def test_a_folder_means_the_log_in_it_and_what_is_expected_is_named(tmp_path):
    with opened(tmp_path / VERDICTS_FILE) as log:
        log.write("a", OK)
    assert find_log(tmp_path) == find_log(tmp_path / VERDICTS_FILE) == tmp_path / VERDICTS_FILE
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "verdicts.parquet").write_bytes(b"")
    for place, complaint in (
        ("none", "no such folder or log"),
        ("old", "holds a verdicts.parquet of an earlier edgekd, which polars reads"),
    ):
        with pytest.raises(EdgekdError, match=complaint):
            find_log(tmp_path / place)


def test_an_empty_file_is_no_log(tmp_path):
    (tmp_path / "v.sqlite").write_bytes(b"")
    with pytest.raises(EdgekdError, match="is empty: no verdict was written into it"):
        LogReader(tmp_path / "v.sqlite")


def test_an_infinite_score_is_kept_and_one_that_is_no_number_is_null(tmp_path):
    with opened(tmp_path / "v.sqlite") as log:
        log.write("a", AnomalyResult(math.inf, math.nan, Verdict.ERROR, error="the score is not finite"))
    assert rows_of(tmp_path / "v.sqlite", ("score", "severity")) == [{"score": math.inf, "severity": None}]
