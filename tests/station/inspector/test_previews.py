"""Small images of the newest parts: for whoever looks, and for nobody else."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from edgekd.result import AnomalyResult, Verdict
from edgekd.station.inspector.images import View
from edgekd.station.inspector.judging import Seen
from edgekd.station.inspector.previews import LONGEST_SIDE, MOST_KEPT, MOST_WAITING, Previews, small_image
from edgekd.station.parts import Inspected
from edgekd.verdicts.limits import Limits

from .parts_by_hand import bad_part, good_part


def view(image=None, with_map=False, camera="top", bit_depth=8):
    image = good_part() if image is None else image
    result = None
    if with_map:
        anomaly_map = np.zeros((16, 16), np.float32)
        anomaly_map[4:8, 4:8] = 5
        result = AnomalyResult(verdict=Verdict.NG, score=5.0, severity=5.0, anomaly_map=anomaly_map)
    return View(Seen(Inspected(1, camera=camera), image, bit_depth, result), Limits(threshold=1.0, pixel_limit=2.0))


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def made(tmp_path):
    made = Previews(tmp_path)
    made.watch("line", True)
    return made


def test_an_image_and_its_heat_map_are_written_for_whoever_looks(made, tmp_path):
    made.offer("line", 7, [view(camera="side"), view(bad_part(), with_map=True)], "top")
    until((tmp_path / "line" / "7.jpg").exists)
    drawn = cv2.imread(str(tmp_path / "line" / "7_map.jpg"))
    assert drawn.shape == bad_part().shape
    assert np.abs(drawn.astype(int) - bad_part()).max() > 60


def test_a_part_that_is_ok_has_no_heat_map(made, tmp_path):
    made.offer("line", 7, [view()], "top")
    until((tmp_path / "line" / "7.jpg").exists)
    assert not (tmp_path / "line" / "7_map.jpg").exists()


def test_nothing_is_written_while_nobody_looks(made, tmp_path):
    made.watch("line", False)
    made.offer("line", 7, [view()], "top")
    made.offer("side", 7, [view()], "top")
    made.watch("line", True)
    made.offer("line", 8, [], "top")
    made.offer("line", 9, [view()], "top")
    until((tmp_path / "line" / "9.jpg").exists)
    assert [path.name for path in tmp_path.rglob("*.jpg")] == ["9.jpg"]
    nowhere = Previews(None)
    nowhere.watch("line", True)
    nowhere.offer("line", 1, [view()], "top")


def test_the_oldest_go_and_so_does_what_was_left_from_before(made, tmp_path):
    (tmp_path / "line").mkdir()
    (tmp_path / "line" / "999.jpg").touch()
    for number in range(MOST_KEPT + 5):
        made.offer("line", number, [view(with_map=True)], "top")
        until((tmp_path / "line" / f"{number}.jpg").exists)
    until(lambda: len(list((tmp_path / "line").iterdir())) == 2 * MOST_KEPT)
    assert (tmp_path / "line" / "5.jpg").exists()
    assert not (tmp_path / "line" / "4_map.jpg").exists()


def test_large_and_deep_images_are_made_small():
    image = np.zeros((600, 2 * LONGEST_SIDE, 3), np.uint16)
    image[:, LONGEST_SIDE:] = 4095
    small = small_image(view(image, bit_depth=12))
    assert (small.dtype, small.shape) == (np.uint8, (300, LONGEST_SIDE, 3))
    assert small[0, -1].tolist() == [255] * 3
    assert small_image(view(np.zeros((20, 5000), np.uint8))).shape == (16, LONGEST_SIDE, 3)


def test_where_more_come_than_can_be_written_the_newest_are(made, tmp_path, monkeypatch):
    began, go_on = [], []
    writing = Previews._write

    def slowly(self, folder, number, view):
        began.append(number)
        until(lambda: go_on)
        writing(self, folder, number, view)

    monkeypatch.setattr(Previews, "_write", slowly)
    made.offer("line", 0, [view()], "top")
    until(lambda: began)
    for number in range(1, MOST_WAITING + 4):
        made.offer("line", number, [view()], "top")
    go_on.append(True)
    until(lambda: began == [0, 4, 5, 6, 7])


def test_an_image_that_cannot_be_written_ends_nothing(made, tmp_path, caplog):
    (tmp_path / "line").touch()
    made.offer("line", 1, [view()], "top")
    until(lambda: "no small image of part 1" in caplog.text)
    (tmp_path / "line").unlink()
    made.offer("line", 2, [view()], "top")
    until((tmp_path / "line" / "2.jpg").exists)
