"""Images go by age and by the room on the disk, rows after their years; what is held never goes."""

import asyncio
import shutil
import time

import pytest

from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.configuration import Storage
from edgekd.station.ports import StoredImage
from edgekd.station.record import retention as module
from edgekd.station.record.reading import RecordReader
from edgekd.station.record.retention import Retention, keep_tidy
from edgekd.station.record.thread import RecordThread

from .recording import judged, opened

DAY = 86_400


@pytest.fixture
def record(tmp_path):
    record = opened(tmp_path)
    record.log.execute("PRAGMA synchronous = OFF")
    for number, verdict in enumerate(("NG", "OK", "ERROR", "OK", "NG", "OK"), 1):
        add(record, number, Verdict(verdict))
    yield record
    record.close()


def add(record, number, verdict):
    judged(record, number, verdict)
    path = f"images/{number}.png"
    (record.log.path.parent / path).parent.mkdir(exist_ok=True)
    (record.log.path.parent / path).write_bytes(bytes(1000))
    record.stored(StoredImage(number, "original", path, "00", 1000))


def left(record):
    return "".join(sorted(path.stem for path in record.log.path.parent.rglob("*.png")))


def later(monkeypatch, days):
    """Time goes on, for all clocks."""
    wall, monotonic = time.time_ns(), time.monotonic()
    monkeypatch.setattr(time, "time_ns", lambda: wall + int(days * DAY * 10**9))
    monkeypatch.setattr(time, "monotonic", lambda: monotonic + days * DAY)


def tidied(step):
    while step():
        pass


@pytest.mark.parametrize(("days", "names"), [(6.9, "123456"), (7.1, "135"), (30.1, "15"), (90.1, "")])
def test_each_kind_of_image_is_kept_for_its_days(record, monkeypatch, days, names):
    retention = Retention(record, Storage())
    later(monkeypatch, days)
    # A step ends after some milliseconds of a clock that stands still here.
    tidied(retention.remove_old_images)
    assert left(record) == names
    assert retention.removed == 6 - len(names)


def test_a_clock_that_is_set_ahead_makes_nothing_older(record, monkeypatch):
    retention = Retention(record, Storage())
    wall = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: wall + 400 * DAY * 10**9)
    tidied(retention.remove_old_images)
    assert left(record) == "123456"


def disk(monkeypatch, record, total, used):
    """A disk that holds the images and what else is used."""

    def usage(path):
        free = total - used - 1000 * len(left(record))
        return shutil._ntuple_diskusage(total, total - free, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)


@pytest.mark.parametrize(
    ("used", "names", "keep"),
    [(78_000, "123456", True), (80_000, "135", True), (82_000, "5", True), (97_000, "", False)],
)
def test_a_disk_that_fills_costs_ok_first_then_errors_and_ng_last(record, monkeypatch, used, names, keep):
    disk(monkeypatch, record, 100_000, used)
    retention = Retention(record, Storage())
    tidied(retention.make_room)
    assert left(record) == names
    assert retention.room().keep_images is keep


def test_what_is_held_never_goes(record, monkeypatch):
    record.hold(2, "mara", "claim of a customer")
    record.hold(4, "mara", "claim of a customer")
    record.hold(4, "mara", "settled", held=False)
    retention = Retention(record, Storage())
    disk(monkeypatch, record, 100_000, 97_000)
    tidied(retention.make_room)
    assert left(record) == "2"
    later(monkeypatch, 100)
    tidied(retention.remove_old_images)
    assert left(record) == "2"


def test_removed_images_are_on_record_and_their_answers_stay(record, monkeypatch):
    retention = Retention(record, Storage())
    disk(monkeypatch, record, 100_000, 97_000)
    tidied(retention.make_room)
    assert record.log.execute("SELECT sum(count) FROM event WHERE kind = 'images_removed'").fetchone() == (6,)
    with RecordReader(record.log.path) as reader:
        assert [len(each.images) for each in reader.last(10)] == [0] * 6


def test_rows_go_after_their_years_a_day_at_a_time_and_never_for_want_of_room(record, monkeypatch):
    record.hold(2, "mara", "claim")
    record.review(1, "mara", "bad")
    record.audit("mara", "", "", "a", "b", "", "", "")
    disk(monkeypatch, record, 100_000, 99_900)
    retention = Retention(record, Storage())
    tidied(retention.make_room)
    tidied(retention.remove_old_rows)
    assert record.last_numbers() == (6, 6)
    later(monkeypatch, 800)
    retention = Retention(record, Storage())
    judged(record, 7)  # Until a later part is on record, nothing is old.
    later(monkeypatch, 0.1)
    tidied(retention.remove_old_rows)
    ids = [row[0] for row in record.log.execute("SELECT id FROM verdict ORDER BY id")]
    assert ids == [2, 7]
    assert [row[0] for row in record.log.execute("SELECT id FROM acquisition ORDER BY id")] == [7]
    assert record.log.execute("SELECT count(*) FROM review").fetchone() == (0,)
    assert record.log.execute("SELECT count(*) FROM audit").fetchone() == (1,)
    assert record.log.execute("SELECT sum(count) FROM event WHERE kind = 'verdicts_removed'").fetchone() == (5,)
    assert record.log.execute("PRAGMA foreign_key_check").fetchall() == []


def test_tidying_up_runs_beside_the_answers(record, monkeypatch):
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.01)
    disk(monkeypatch, record, 100_000, 97_000)
    rooms = []

    async def main():
        thread = RecordThread()
        path = record.log.path.parent
        record.log.close()
        again = await thread.call(opened, path)
        tidying = asyncio.create_task(keep_tidy(Retention(again, Storage()), again, thread, rooms.append))
        while left(record) or len(rooms) < 3:
            await asyncio.sleep(0.01)
        tidying.cancel()
        await thread.call(again.close)
        assert await thread.stop()

    asyncio.run(asyncio.wait_for(main(), 20))
    assert rooms[-1].free == pytest.approx(0.03)
    assert (record.log.path.parent / VERDICTS_FILE).is_file()
