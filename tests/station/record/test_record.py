"""A station's record: what is on it, what no program can change, what a start brings back."""

import hashlib
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import AlarmChanged, RecipeChanged, SelfTestEnded
from edgekd.station.ports import StoredImage
from edgekd.station.recipes import Keep
from edgekd.station.record import opening
from edgekd.station.record.opening import open_record
from edgekd.station.record.reading import RecordReader
from edgekd.station.record.recovery import note_answered
from edgekd.station.snapshot import Alarm, Counters, Loaded
from edgekd.verdicts.log import Session, VerdictLog
from edgekd.verdicts.log_schema import MIGRATIONS

from .recording import RECIPE, acquisition, judged, opened, outcome


@pytest.fixture
def record(tmp_path):
    record = opened(tmp_path)
    yield record
    record.close()


@pytest.fixture
def read(tmp_path, record):
    with RecordReader(tmp_path / VERDICTS_FILE) as reader:
        yield reader


def rows(record, query):
    return record.log.execute(query).fetchall()


def test_an_answer_comes_back_as_it_was_given(record, read):
    given = outcome(1, Verdict.NG, simulated=True)
    record.operator = "mara"
    record.begin(acquisition(1), RECIPE)
    record.write(given)
    (found,) = read.last(10)
    assert found.outcome == given
    assert (found.operator, found.delivered, found.images) == ("mara", "", ())
    assert read.result(1) == found
    assert read.result(2) is None


def test_the_log_shows_what_a_station_knows_of_a_part(record):
    record.begin(acquisition(1), RECIPE)
    record.write(outcome(1, Verdict.NG))
    shown = "name, source, part_id, serial, lot, recipe, revision, artifact, artifact_sha256, system, area, cx, cy"
    assert rows(record, f"SELECT {shown} FROM verdicts") == [
        ("line#000001", "line", "1001", "S1", "L3", "cell", 3, "detector.onnx", "cd" * 32, "hkt", 10, 9.5, 9.5)
    ]
    assert rows(record, "SELECT inference_ms, end_to_end_ms, acquire_ms FROM verdicts") == [(7.0, 50.0, 40.0)]


def test_a_refused_trigger_is_on_record_without_an_acquisition(record, read):
    given = outcome(1, Verdict.ERROR, ErrorCode.TRIGGER_NOT_READY, acquired=0)
    record.write(given)
    assert read.result(1).outcome == given


def test_a_result_id_is_taken_once(record):
    judged(record, 1)
    with pytest.raises(RuntimeError, match="refuses a row"):
        record.write(outcome(1, Verdict.NG, acquired=2))
    assert rows(record, "SELECT id, verdict FROM verdict") == [(1, "OK")]


@pytest.mark.parametrize("second", [Verdict.OK, Verdict.NG])
def test_an_answer_is_not_corrected_but_an_error_may_follow_a_late_one(record, second):
    judged(record, 1)
    with pytest.raises(RuntimeError, match="judged already"):
        record.write(outcome(2, second, acquired=1))
    assert record.last_numbers() == (1, 1)
    record.write(outcome(2, Verdict.ERROR, ErrorCode.ANSWER_LATE, acquired=1))
    record.deliver(1, "late")
    assert record.counters("line") == Counters(error=1, errors_in_a_row=1)


def test_pages_of_results_follow_each_other(record, read):
    for number in range(1, 8):
        judged(record, number)
    record.write(outcome(8, station="other"))
    assert [each.outcome.result_id for each in read.last(3)] == [8, 7, 6]
    assert [each.outcome.result_id for each in read.last(3, before_id=6)] == [5, 4, 3]
    assert [each.outcome.result_id for each in read.last(2, station="line")] == [7, 6]
    assert [each.delivered for each in read.last(2)] == ["", "acked"]


def test_images_stand_beside_their_answer_with_digest_and_days(record, read):
    judged(record, 1, Verdict.NG)
    image = StoredImage(1, "original", "images/1_NG.png", hashlib.sha256(b"x").hexdigest(), 1)
    record.stored(image)
    assert read.result(1).images == (image,)
    ((days, rank),) = rows(record, "SELECT (expires_ms - time_ms) / 86400000.0, rank FROM image")
    assert (days, rank) == (90.0, 2)


@pytest.mark.parametrize("days", [1e12, 1e305])
def test_an_image_that_is_to_stay_for_more_days_than_a_row_can_hold_stays_for_as_many_as_it_can(record, read, days):
    judged(record, 1, Verdict.NG)
    image = StoredImage(1, "original", "images/1_NG.png", hashlib.sha256(b"x").hexdigest(), 1)
    record.stored(image, Keep(ng_days=days))
    assert read.result(1).images == (image,)
    assert rows(record, "SELECT expires_ms FROM image") == [(2**63 - 1,)]


def test_reviews_stand_beside_their_answer_the_last_one_at_the_end(record, read):
    judged(record, 1, Verdict.NG)
    judged(record, 2)
    record.review(1, "mara", "good", "only dust")
    record.review(1, "jo", "bad")
    assert [(each.who, each.label, each.note) for each in read.result(1).reviews] == [
        ("mara", "good", "only dust"),
        ("jo", "bad", ""),
    ]
    assert read.result(2).reviews == ()
    assert read.read(lambda log: log.execute("SELECT count(*) FROM review").fetchone()) == (2,)


def test_alarms_self_tests_late_answers_and_reviews_are_on_record(record):
    judged(record, 1, Verdict.ERROR, error=ErrorCode.ANSWER_LATE)
    record.note(RecipeChanged(RECIPE), "line")
    record.note(SelfTestEnded("stored", False, "1 of 3 differs"), "line")
    alarm = Alarm(ErrorCode.CAMERA_LOST, "The camera does not answer.", 5, True)
    record.note(AlarmChanged(alarm), "line")
    record.note(AlarmChanged(replace(alarm, active=False, acknowledged_by="mara")), "line")
    record.late(1, outcome(1).inspected)
    record.review(1, "mara", "good", "only dust")
    assert rows(record, "SELECT station, kind, passed, session_id FROM selftest") == [("line", "stored", 0, 1)]
    assert rows(record, "SELECT code, active, acknowledged_by FROM alarm") == [(103, 1, ""), (103, 0, "mara")]
    assert rows(record, "SELECT verdict_id, score, error_code FROM late") == [(1, 0.5, 0)]
    assert rows(record, "SELECT verdict_id, who, label, note FROM review") == [(1, "mara", "good", "only dust")]


def test_counters_come_back_after_a_crash_and_count_from_their_reset(tmp_path, record):
    for number, verdict in enumerate((Verdict.NG, Verdict.OK, Verdict.OK, Verdict.NG, Verdict.NG), 1):
        judged(record, number, verdict)
    record.write(outcome(6, Verdict.ERROR, ErrorCode.TRIGGER_DISABLED, acquired=0))
    record.write(outcome(7, Verdict.NG, self_test=True))
    record.write(outcome(8, Verdict.NG, station="other"))
    expected = Counters(ok=2, ng=3, error=1, missed=1, ng_in_a_row=2)
    assert record.counters("line") == expected
    record.save_counters()
    judged(record, 9, Verdict.NG)
    record.log.close()
    again = opened(tmp_path)
    assert again.counters("line") == replace(expected, ng=4, ng_in_a_row=3)
    again.reset_counters("line", 42)
    judged(again, 10)
    again.close()
    last = opened(tmp_path)
    assert last.counters("line") == Counters(ok=1, since_utc_ms=42)
    last.close()


def test_a_start_makes_an_error_of_a_part_that_was_not_judged_and_goes_on_counting(tmp_path):
    record, found = open_record(tmp_path, "0")
    assert (found.first, found.boot_id) == (True, 1)
    judged(record, 1)
    record.begin(acquisition(2), RECIPE)
    record.write(outcome(2))  # Nobody acknowledged it.
    record.begin(acquisition(3), RECIPE)
    record.begin(acquisition(4), RECIPE)
    record.log.close()
    record, found = open_record(tmp_path, "0")
    assert (found.clean, found.open_parts, found.unread, found.boot_id) == (False, 2, 1, 2)
    assert record.last_numbers() == (4, 4)
    with RecordReader(tmp_path / VERDICTS_FILE) as reader:
        last = reader.result(4)
        assert [each.delivered for each in reader.last(4)] == ["unread", "unread", "unread", "acked"]
    assert (last.outcome.verdict, last.outcome.error) == (Verdict.ERROR, ErrorCode.SYSTEM)
    assert last.outcome.error_text == "the station ended before this part was judged"
    assert (last.outcome.part, last.outcome.recipe_digest) == (acquisition(4).part, RECIPE.digest)
    record.close()
    record, found = open_record(tmp_path, "0")
    assert (found.clean, found.open_parts, found.unread, found.boot_id) == (True, 0, 0, 3)
    record.close()


def test_a_full_disk_at_one_part_does_not_hide_it_from_the_next_start(tmp_path):
    """A part whose answer could not be written, with others after it."""
    record = opened(tmp_path)
    record.begin(acquisition(1), RECIPE)
    judged(record, 2)
    note_answered(record.log)
    record.close()
    record, found = open_record(tmp_path, "0")
    assert found.open_parts == 1
    assert rows(record, "SELECT acquisition_id, error_code FROM result ORDER BY id") == [(2, 0), (1, 700)]
    record.close()


EVERY_TABLE = (
    *("session", "recipe_session", "acquisition", "verdict", "result", "delivery", "late", "review", "hold"),
    *("alarm", "selftest", "audit", "event", "image"),
)


@pytest.fixture
def full(tmp_path):
    """A file with a row in every table."""
    record = opened(tmp_path)
    judged(record, 1, Verdict.NG)
    record.stored(StoredImage(1, "original", "a.png", "00", 1))
    record.late(1, outcome(1).inspected)
    record.review(1, "mara", "bad")
    record.hold(1, "mara", "claim")
    record.note(SelfTestEnded("stored", True, ""), "line")
    record.note(AlarmChanged(Alarm(ErrorCode.CAMERA_LOST, "lost", 5)), "line")
    record.audit("mara", "engineer", "10.0.0.1", "release", "cell r3", "2", "3", "better light")
    record.close()
    return tmp_path / VERDICTS_FILE


@pytest.mark.parametrize("table", EVERY_TABLE)
def test_no_program_changes_a_row_whichever_way_it_tries(full, table):
    other = sqlite3.connect(full)
    before = other.execute(f"SELECT * FROM {table}").fetchall()
    assert len(before) == 1
    columns = [row[1] for row in other.execute(f"PRAGMA table_info({table})")]
    changed = ", ".join("id" if name == "id" else f"77 AS {name}" for name in columns)
    for recursive in ("ON", "OFF"):
        other.execute(f"PRAGMA recursive_triggers = {recursive}")
        for statement in (
            *(f"UPDATE {table} SET {name} = 77" for name in columns if name != "removed_ms"),
            f"DELETE FROM {table}",
            f"UPDATE OR REPLACE {table} SET id = 2",
            f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
            f"REPLACE INTO {table} SELECT {changed} FROM {table}",
            f"INSERT OR IGNORE INTO {table} SELECT {changed} FROM {table}",
        ):
            with pytest.raises(sqlite3.IntegrityError, match=r"never|only|already"):
                other.execute(statement)
            other.rollback()
    assert other.execute(f"SELECT * FROM {table}").fetchall() == before
    other.close()


def test_verdicts_of_less_than_a_year_ago_cannot_be_declared_old(full):
    other = sqlite3.connect(full)
    newest = other.execute("SELECT time_ms FROM verdict").fetchone()[0]
    with pytest.raises(sqlite3.IntegrityError, match="at least a year"):
        other.execute("INSERT INTO expiry (time_ms, before_ms, days) VALUES (0, ?, 1)", (newest - 364 * 86_400_000,))
    other.close()


def test_the_audit_trail_tells_what_was_changed_in_it(tmp_path):
    record = opened(tmp_path)
    for number in range(1, 6):
        record.audit("mara", "engineer", "10.0.0.1", "threshold", "cell", str(number), str(number + 1), "drift")
    record.close()
    path = tmp_path / VERDICTS_FILE
    with RecordReader(path) as reader:
        trail = reader.trail()
        assert (trail.entries, trail.broken) == (5, "")
        assert [entry.new for entry in reader.entries(2)] == ["6", "5"]
    whole = path.read_bytes()
    for change, complaint in (
        ("UPDATE audit SET who = 'eve' WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit SET local_time = '' WHERE id = 5", "entry 5 was changed"),
        ("DELETE FROM audit WHERE id = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE id = 5", "entries 5 to 5 are missing"),
        ("DELETE FROM audit", "entries 1 to 5 are missing"),
        (f"UPDATE audit SET hash = '{'0' * 64}' WHERE id = 1", "entry 1 was changed"),
    ):
        path.write_bytes(whole)
        other = sqlite3.connect(path)
        for trigger in ("no_update", "no_delete", "no_replace"):
            other.execute(f"DROP TRIGGER audit_{trigger}")
        other.execute(change)
        other.commit()
        other.close()
        with RecordReader(path) as reader:
            assert reader.trail().broken == complaint
        record, found = open_record(tmp_path, "0")
        assert found.audit == complaint
        record.close()


def test_a_broken_trail_is_noted_in_the_trail_that_goes_on(tmp_path):
    record = opened(tmp_path)
    record.audit("mara", "", "", "a", "b", "", "", "")
    record.close()
    other = sqlite3.connect(tmp_path / VERDICTS_FILE)
    other.execute("DROP TRIGGER audit_no_update")
    other.execute("UPDATE audit SET who = 'eve'")
    other.commit()
    other.close()
    record = opened(tmp_path)
    record.close()
    with RecordReader(tmp_path / VERDICTS_FILE) as reader:
        assert reader.entries(1)[0].new == "entry 1 was changed"


def test_rows_outlast_a_power_cut(record):
    assert rows(record, "PRAGMA synchronous") == [(2,)]
    assert rows(record, "PRAGMA journal_mode") == [("wal",)]
    assert rows(record, "PRAGMA recursive_triggers") == [(1,)]
    assert rows(record, "PRAGMA foreign_keys") == [(1,)]


def test_a_log_of_the_first_version_is_brought_forward_and_goes_on(tmp_path, monkeypatch):
    from edgekd.result import AnomalyResult
    from edgekd.verdicts import log_schema

    with monkeypatch.context() as patch:
        patch.setattr(log_schema, "MIGRATIONS", MIGRATIONS[:1])
        with VerdictLog(tmp_path / VERDICTS_FILE, Session("images", "x.onnx", "ab"), "0") as log:
            log.add_image(log.write("old.png", AnomalyResult(1.0, 1.0, Verdict.OK)), Verdict.OK, "heat_map", "a", 1)
    record = opened(tmp_path)
    judged(record, 2)
    assert rows(record, "SELECT id, name, serial, heat_map FROM verdicts") == [
        (1, "old.png", None, "a"),
        (2, "line#000002", "S2", None),
    ]
    with RecordReader(tmp_path / VERDICTS_FILE) as reader:
        assert [each.outcome.result_id for each in reader.last(10)] == [2]
    record.close()


def test_a_newer_record_is_refused(tmp_path):
    opened(tmp_path).close()
    other = sqlite3.connect(tmp_path / VERDICTS_FILE)
    other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.close()
    with pytest.raises(EdgekdError, match="update edgekd"):
        open_record(tmp_path, "0")


def test_the_writer_loads_neither_numpy_nor_opencv():
    code = (
        "import sys, edgekd.station.record.opening, edgekd.station.record.reading, edgekd.station.record.retention\n"
        "print(sorted({'numpy', 'cv2', 'polars', 'onnxruntime', 'openvino'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def test_a_start_looks_at_triggers_after_the_last_that_had_its_answer(record):
    for number in range(1, 4):
        judged(record, number)
    note_answered(record.log)
    judged(record, 4)
    record.begin(acquisition(5), RECIPE)
    judged(record, 6)
    noted = "SELECT value FROM meta WHERE name = 'closed_up_to'"
    assert rows(record, noted) == [("3",)]
    note_answered(record.log)
    assert rows(record, noted) == [("4",)]


def test_a_record_too_large_to_be_read_in_time_is_opened_nonetheless(tmp_path, monkeypatch, caplog):
    record = opened(tmp_path)
    record.log.execute("PRAGMA synchronous = OFF")
    for number in range(1, 120):
        judged(record, number)
    record.close()
    monkeypatch.setattr(opening, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(opening, "CHECK_EVERY", 10)
    record = opened(tmp_path)
    assert "only a part of it was checked" in caplog.text
    assert record.last_numbers() == (119, 119)
    record.close()


def test_a_second_station_is_kept_out_while_the_first_runs(tmp_path, record):
    for _ in range(2):
        with pytest.raises(MachineError, match="another station writes into"):
            open_record(tmp_path, "0")
    judged(record, 1)
    record.close()
    opened(tmp_path).close()


def test_another_program_puts_its_changes_into_the_trail_of_a_running_station(tmp_path, record):
    record.audit("mara", "operator", "page", "self-test", "line", "", "", "")
    code = (
        "import sys; from pathlib import Path; from edgekd.station.record.opening import note_change\n"
        "note_change(Path(sys.argv[1]), 'eva', 'engineer', 'console', 'release', 'cell r3', 'draft', 'released', 'new')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    record.audit("mara", "operator", "page", "online", "line", "", "", "")
    with RecordReader(tmp_path / VERDICTS_FILE) as reader:
        assert reader.trail()[::2] == (3, "")
        assert [entry.who for entry in reader.entries(3)] == ["mara", "eva", "mara"]


def test_another_recipe_makes_another_session(record):
    other = Loaded(8, "cell", 4, "cd" * 32)
    judged(record, 1)
    record.begin(acquisition(2, recipe=other), other)
    record.write(outcome(2, recipe=other))
    judged(record, 3)
    assert rows(record, "SELECT session_id FROM verdict") == [(1,), (2,), (1,)]
    assert rows(record, "SELECT job, revision, boot_id FROM recipe_session") == [(7, 3, 1), (8, 4, 1)]
