"""Images of parts: what control asks for is written whole, and what cannot be is never lost in silence."""

from __future__ import annotations

import hashlib
import threading
import time

import cv2
import numpy as np
import pytest

from edgekd.result import AnomalyResult, Verdict
from edgekd.station.inspector import images
from edgekd.station.inspector.images import ImageWriter, View
from edgekd.station.inspector.judging import Seen
from edgekd.station.inspector.messages import Keep, Stored, Warned
from edgekd.station.parts import Inspected
from edgekd.verdicts.limits import Limits

from .parts_by_hand import bad_part, good_part

WHEN = 1_790_000_000_000  # 2026-09-21 14:13 UTC.
FOLDER = "images/2026-09-21/14"


class Mailbox:
    """What control is told."""

    def __init__(self):
        self.messages = []
        self.changed = threading.Condition()

    def send(self, message):
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def wait(self, kind, count=1):
        """Messages of a kind, once there are so many."""

        def found():
            return [message for message in self.messages if isinstance(message, kind)]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, 10)
        return found()


@pytest.fixture
def box():
    return Mailbox()


@pytest.fixture
def writer(tmp_path, box):
    writer = ImageWriter(tmp_path, box.send)
    yield writer
    writer.close(time.monotonic() + 10)


def view(image, camera="top", bit_depth=8):
    height, width = image.shape[:2]
    result = AnomalyResult(200.0, 1.2, Verdict.NG, anomaly_map=np.full((height // 2, width // 2), 170, np.float32))
    return View(Seen(Inspected(1, camera=camera), image, bit_depth, result), Limits(180.0, 120.0, 150.0))


def keep(result_id, verdict=Verdict.NG, acquisition_id=None, wanted=("original", "heat_map")):
    return Keep(
        station="one",
        acquisition_id=result_id if acquisition_id is None else acquisition_id,
        result_id=result_id,
        verdict=verdict,
        published_utc_ms=WHEN,
        wanted=wanted,
    )


def test_an_ng_is_kept_without_loss_and_with_its_heat_map(tmp_path, writer, box):
    image = bad_part(1)
    writer.offer("one", 7, [view(image)])
    writer.keep(keep(12, acquisition_id=7))
    stored = {message.image: message for message in box.wait(Stored, 2)}
    assert stored["original"].path == f"{FOLDER}/12_NG.png"
    assert stored["heat_map"].path == f"{FOLDER}/12_NG.heat.jpg"
    for message in stored.values():
        content = (tmp_path / message.path).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (message.sha256, message.bytes)
    assert (cv2.imread(str(tmp_path / stored["original"].path), cv2.IMREAD_UNCHANGED) == image).all()
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == ["12_NG.heat.jpg", "12_NG.png"]


def test_twelve_bits_are_kept_as_the_camera_gave_them(tmp_path, writer, box):
    mono = good_part(2)[:, :, 0].astype(np.uint16) * 16
    writer.offer("one", 1, [view(mono, bit_depth=12)])
    writer.keep(keep(1, Verdict.ERROR))
    stored = {message.image: message.path for message in box.wait(Stored, 2)}
    assert (cv2.imread(str(tmp_path / stored["original"]), cv2.IMREAD_UNCHANGED) == mono).all()
    assert cv2.imread(str(tmp_path / stored["heat_map"])).mean() > 50


def test_a_sample_of_ok_is_a_jpeg_and_every_camera_has_its_own(tmp_path, writer, box):
    writer.offer("one", 1, [view(good_part(1), "left"), view(good_part(2), "right")])
    writer.keep(keep(1, Verdict.OK, wanted=("original",)))
    assert [message.path for message in box.wait(Stored, 2)] == [f"{FOLDER}/1_OK_left.jpg", f"{FOLDER}/1_OK_right.jpg"]


def test_what_is_asked_for_before_it_was_judged_is_written_then(writer, box):
    writer.keep(keep(5, Verdict.ERROR, wanted=("original",)))
    writer.offer("one", 5, [view(good_part())])
    assert box.wait(Stored)[0].path == f"{FOLDER}/5_ERROR.png"


def test_what_nobody_asks_for_is_forgotten(writer, box):
    for number in range(1, 30):
        writer.offer("one", number, [view(good_part())])
        writer.keep(keep(number, Verdict.OK, wanted=()))
    for number in range(30, 60):
        writer.offer("one", number, [view(good_part())])
    assert list(writer._kept) == [("one", number) for number in range(56, 60)]
    assert not box.messages


def test_a_full_queue_drops_ok_samples_first_and_then_an_ng_with_a_warning(tmp_path, box, monkeypatch):
    held, writing = threading.Event(), threading.Event()
    write = images.write_image

    def slow(*args, **options):
        writing.set()
        assert held.wait(10)
        write(*args, **options)

    monkeypatch.setattr(images, "write_image", slow)
    monkeypatch.setattr(images, "MOST_WAITING", 3)
    writer = ImageWriter(tmp_path, box.send)

    def ask(number, verdict):
        writer.offer("one", number, [view(good_part(number))])
        writer.keep(keep(number, verdict, wanted=("original",)))

    ask(1, Verdict.NG)
    assert writing.wait(10)  # It is being written, and no longer waits.
    for number, verdict in ((2, Verdict.OK), (3, Verdict.NG), (4, Verdict.OK), (5, Verdict.NG), (6, Verdict.NG)):
        ask(number, verdict)
    assert not box.messages
    ask(7, Verdict.OK)
    assert not box.messages
    ask(8, Verdict.NG)
    assert "result 8 (NG)" in box.wait(Warned)[0].text
    held.set()
    assert [message.result_id for message in box.wait(Stored, 4)] == [1, 3, 5, 6]
    writer.close(time.monotonic() + 10)


def test_a_disk_that_is_full_costs_a_warning_and_leaves_no_part_of_a_file(tmp_path, writer, box, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgekd.artifact.os.fsync", full)
    writer.offer("one", 1, [view(bad_part())])
    writer.keep(keep(1))
    (warning,) = box.wait(Warned)
    assert "result 1 (NG): its image was not written" in warning.text
    assert "no room left on the disk" in warning.text
    monkeypatch.undo()
    assert list((tmp_path / FOLDER).iterdir()) == []
    writer.offer("one", 2, [view(bad_part())])
    writer.keep(keep(2))
    assert len(box.wait(Stored, 2)) == 2


def test_what_is_not_written_when_the_station_stops_is_told(tmp_path, box, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(images, "write_image", lambda *args, **options: held.wait(10))
    writer = ImageWriter(tmp_path, box.send)
    for number, verdict in ((1, Verdict.NG), (2, Verdict.OK), (3, Verdict.ERROR)):
        writer.offer("one", number, [view(good_part(number))])
        writer.keep(keep(number, verdict, wanted=("original",)))
    writer.close(time.monotonic() + 0.1)
    assert "result 3 (ERROR)" in box.wait(Warned)[-1].text
    held.set()
