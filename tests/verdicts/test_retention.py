"""Images are removed by age, count and free disk: OK first, NG last, on record; verdicts stay."""

import os
import shutil
import time

import pytest

from edgekd.result import AnomalyResult, Verdict
from edgekd.verdicts.log import Session, VerdictLog
from edgekd.verdicts.log_reading import LogReader
from edgekd.verdicts.retention import KeepImages, Retention, megabytes


@pytest.fixture
def log(tmp_path):
    with VerdictLog(tmp_path / "v.sqlite", Session("s", "a", "h"), "0") as log:
        yield log


def add(log, name, verdict, size=1000):
    relative = f"heat_maps/{name}.jpg"
    path = log.path.parent / relative
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    row = log.write(name, AnomalyResult(1.0, 1.0, Verdict(verdict)))
    log.add_image(row, Verdict(verdict), "heat_map", relative, size)
    return path


def left(log):
    return sorted(path.stem for path in log.path.parent.rglob("*.jpg"))


def removals(log):
    with LogReader(log.path) as reader:
        events = [event for event in reader.events().to_dicts() if event["kind"] == "images_removed"]
        assert reader.verdicts(("id",)).height == 6  # Of every part, whatever became of its image.
        return [(event["count"], event["text"]) for event in events]


@pytest.fixture
def six(log):
    for name, verdict in (("1", "NG"), ("2", "OK"), ("3", "ERROR"), ("4", "OK"), ("5", "NG"), ("6", "OK")):
        add(log, name, verdict)
    return log


@pytest.mark.parametrize(("most", "names"), [(6, "123456"), (5, "13456"), (3, "135"), (2, "15"), (1, "5"), (0, "")])
def test_the_oldest_ok_go_first_then_errors_and_ng_last(six, tmp_path, most, names):
    retention = Retention(tmp_path, six, KeepImages(images=most))
    retention.tidy()
    assert left(six) == list(names)
    assert retention.removed == 6 - most
    said = [(6 - most, f"removed {6 - most} images ({megabytes(1000 * (6 - most))}): more than {most}")]
    assert removals(six) == ([] if most == 6 else [(said[0][0], said[0][1].replace("1 images", "1 image"))])


def test_a_limit_holds_while_images_come(six, tmp_path):
    retention = Retention(tmp_path, six, KeepImages(images=4))
    for number in range(7, 12):
        add(six, str(number), "OK")
        retention.added()
        retention.tidy()
        assert len(left(six)) <= 4
    assert {"1", "5", "3"} <= set(left(six))


def test_what_is_older_than_days_goes_whatever_it_shows(six, tmp_path, monkeypatch):
    now = time.time_ns() + 3 * 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now)
    Retention(tmp_path, six, KeepImages(days=4)).tidy()
    assert left(six) == list("123456")
    Retention(tmp_path, six, KeepImages(days=2.5)).tidy()
    assert left(six) == []
    assert not (tmp_path / "heat_maps").exists()
    assert removals(six) == [(6, "removed 6 images (0.006 MB): older than 2.5 days")]


def test_so_many_are_removed_that_the_disk_is_free_again(six, tmp_path, monkeypatch):
    real = shutil.disk_usage(tmp_path)

    def usage(path):  # A disk on which these files are all that there is to remove.
        return real._replace(free=10_000 - sum(file.stat().st_size for file in tmp_path.rglob("*.jpg")))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    Retention(tmp_path, six, KeepImages(free=6000)).tidy()
    assert left(six) == ["1", "3", "5"]
    assert removals(six) == [(3, "removed 3 images (0.003 MB): less than 0.006 MB free on the disk")]


def test_what_is_gone_already_and_what_cannot_be_removed_does_not_end_it(six, tmp_path, caplog):
    (tmp_path / "heat_maps" / "2.jpg").unlink()
    (tmp_path / "heat_maps" / "4.jpg").unlink()
    (tmp_path / "heat_maps" / "4.jpg").mkdir()  # No file: it cannot be unlinked.
    Retention(tmp_path, six, KeepImages(images=0)).tidy()
    assert os.listdir(tmp_path / "heat_maps") == ["4.jpg"]
    assert caplog.text.count("cannot remove") == 1


def test_only_files_of_the_folder_are_ever_removed(log, tmp_path):
    other = tmp_path.parent / "other.jpg"
    other.write_bytes(b"x")
    log.add_image(log.write("a", AnomalyResult(1.0, 1.0, Verdict.OK)), Verdict.OK, "heat_map", "../other.jpg", 1)
    Retention(tmp_path, log, KeepImages(images=0)).tidy()
    assert other.exists()
