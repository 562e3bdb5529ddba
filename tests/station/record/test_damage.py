"""A damaged record is refused by its code, a copy is kept, and no new file silently takes its place."""

import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from edgekd.errors import MachineError
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.record.opening import MARKER_FILE, open_record

from .recording import judged, opened


@pytest.fixture
def path(tmp_path):
    """A record of some pages, closed."""
    record = opened(tmp_path)
    record.log.execute("PRAGMA synchronous = OFF")
    for number in range(1, 120):
        judged(record, number)
    record.close()
    return tmp_path / VERDICTS_FILE


def overwritten(start, length=4096):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[start : start + length] = os.urandom(length)
        path.write_bytes(content)

    return damage


def some_page_of_verdicts(path):
    other = sqlite3.connect(path)
    root = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'verdict'").fetchone()[0]
    other.close()
    overwritten(4096 * (root - 1))(path)


def another_database(path):
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()


def a_record_of_elsewhere(path):
    elsewhere = path.parent / "elsewhere"
    opened(elsewhere).close()
    shutil.copy(elsewhere / VERDICTS_FILE, path)
    shutil.rmtree(elsewhere)


def cut_in_half(path):
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def no_database(path):
    path.write_text("no database" * 1000)


DAMAGES = (
    *(overwritten(0, 100), overwritten(4096 * 3), some_page_of_verdicts, cut_in_half),
    *(another_database, a_record_of_elsewhere, no_database),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused_and_kept_however_often_it_is_started(path, damage):
    damage(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StationError) as caught:
            open_record(path.parent, "0")
        assert caught.value.code is ErrorCode.ROW_NOT_WRITTEN
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before
    copy = Path(re.search(r"a copy is (.*?\.sqlite)", str(caught.value))[1])
    assert copy.read_bytes() == before
    assert len(list(path.parent.glob("damaged-*"))) == 1


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_no_new_record_takes_the_place_of_one_that_is_gone(path, damage):
    damage(path)
    with pytest.raises(StationError, match="missing or empty") as caught:
        open_record(path.parent, "0")
    assert caught.value.code is ErrorCode.ROW_NOT_WRITTEN
    assert not path.is_file() or not path.stat().st_size


def test_a_backup_that_is_put_back_goes_on(path):
    backup = path.read_bytes()
    path.unlink()
    with pytest.raises(StationError):
        open_record(path.parent, "0")
    path.write_bytes(backup)
    record = opened(path.parent)
    assert record.last_numbers() == (119, 119)
    record.close()


def test_what_is_damaged_while_it_runs_is_a_failed_answer(path):
    record = opened(path.parent)
    for name in (path, Path(f"{path}-wal")):
        if name.exists():
            with name.open("r+b") as file:
                file.write(os.urandom(name.stat().st_size or 4096))
    record.log.execute("PRAGMA cache_size = 0")

    def go_on():
        for number in range(120, 200):
            judged(record, number)

    with pytest.raises(MachineError) as caught:
        go_on()
    assert "\n" not in str(caught.value)
    record.close()


def test_a_first_start_that_was_killed_before_the_marker_goes_on(tmp_path):
    opened(tmp_path).close()
    (tmp_path / MARKER_FILE).unlink()
    opened(tmp_path).close()
    assert (tmp_path / MARKER_FILE).is_file()
