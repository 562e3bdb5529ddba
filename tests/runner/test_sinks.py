"""Heat maps and originals: what is drawn, how files are called, and what cannot be written."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data.images import read_image
from edgekd.result import AnomalyResult, Region, Verdict
from edgekd.run_folder import IMAGES_FOLDER
from edgekd.runner import Answer
from edgekd.runner.sinks import ImageSink, Wanted, write_heat_map
from edgekd.verdicts.limits import Limits
from edgekd.verdicts.log import Session, VerdictLog
from edgekd.verdicts.log_reading import LogReader
from edgekd.verdicts.retention import KeepImages

GREY = np.full((320, 400, 3), 90, np.uint8)
NO_LIMITS = KeepImages()


def ng(name, image=GREY, anomaly_map=None):
    anomaly_map = np.zeros((40, 50), np.float32) if anomaly_map is None else anomaly_map
    return Answer(name, image, AnomalyResult(2.0, 1.5, Verdict.NG, (), anomaly_map))


def ok(name):
    return Answer(name, GREY, AnomalyResult(0.1, 0.1, Verdict.OK, (), np.zeros((40, 50), np.float32)))


def write_all(folder, answers, wanted=Wanted(), keep=NO_LIMITS):  # noqa: B008
    """Writes answers as a run does; returns the files by name, and how many images are missing."""
    with VerdictLog(folder / "v.sqlite", Session("s", "a", "h"), "0") as log:
        sink = ImageSink(log, Limits(1.0), wanted, keep)
        for answer in answers:
            sink.write(answer, log.write(answer.name, answer.result))
        sink.close()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.??g")), sink.not_written


def test_a_heat_map_glows_where_the_map_is_high(tmp_path):
    anomaly_map = np.zeros((40, 50), np.float32)
    anomaly_map[10:20, 30:40] = 2.0
    path = tmp_path / "deep" / "x.jpg"
    write_heat_map(path, GREY, ng("a", GREY, anomaly_map).result, low=0.5, high=2.0)
    drawn = read_image(path).astype(int)
    assert drawn.shape == GREY.shape
    assert np.abs(drawn[240:, :160] - 90).max() <= 6
    assert np.abs(drawn[100:140, 260:300] - 90).mean() > 40


def test_verdict_and_severity_stand_in_the_corner_of_a_heat_map_whatever_the_image(tmp_path):
    for level in (0, 255):
        image = np.full((320, 400, 3), level, np.uint8)
        write_heat_map(tmp_path / "x.jpg", image, ng("a").result, low=0.5, high=2.0)
        corner = read_image(tmp_path / "x.jpg")[:20, :150]
        assert (corner < 40).mean() > 0.4  # The dark box,
        assert (corner > 200).mean() > 0.03  # and the letters on it.


def test_a_heat_map_outlines_and_numbers_regions_and_a_small_image_is_enlarged(tmp_path):
    image = np.full((64, 80, 3), 90, np.uint8)
    anomaly_map = np.zeros((32, 40), np.float32)
    anomaly_map[16:24, 20:30] = 2.0
    region = Region(320, (40, 32, 20, 16), (49.5, 39.5), 2.0)
    pictures = []
    for regions in ((), (region,)):
        result = AnomalyResult(2.0, 1.5, Verdict.NG, regions, anomaly_map)
        write_heat_map(tmp_path / "x.jpg", image, result, low=1.0, high=4.0, pixel_limit=1.0)
        pictures.append(read_image(tmp_path / "x.jpg"))
    plain, drawn = pictures
    assert drawn.shape == (256, 320, 3)
    changed = np.argwhere(np.abs(drawn.astype(int) - plain).max(axis=2) > 60)
    assert changed.min(axis=0).tolist() == pytest.approx([110, 158], abs=12)  # The number stands on the corner.
    assert changed.max(axis=0).tolist() == pytest.approx([192, 240], abs=6)
    inside = (slice(140, 180), slice(175, 230))
    assert np.abs(drawn[inside].astype(int) - plain[inside]).max() < 20


def test_the_original_of_an_ng_frame_stands_beside_its_heat_map_to_the_last_bit(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)
    written, missing = write_all(tmp_path, [ok("good.png"), ng("shift/bad.png", image)])
    assert written == [
        "heat_maps/shift/bad.png.000002.heat.jpg",
        "heat_maps/shift/bad.png.000002.original.png",
    ]
    assert missing == 0
    assert (cv2.imread(str(tmp_path / written[1])) == image).all()
    with LogReader(tmp_path / "v.sqlite") as reader:
        good, bad = reader.verdicts(("heat_map", "original")).to_dicts()
    assert good == {"heat_map": None, "original": None}
    assert bad == {"heat_map": written[0], "original": written[1]}


@pytest.mark.parametrize(
    ("wanted", "endings"),
    [
        (Wanted("ng", "none"), ["2.heat.jpg"]),
        (Wanted("none", "ng"), ["2.original.png"]),
        (Wanted("none", "none"), []),
        (Wanted("all", "all"), ["1.heat.jpg", "1.original.png", "2.heat.jpg", "2.original.png", "3.original.png"]),
    ],
)
def test_what_is_written_is_what_is_wanted(tmp_path, wanted, endings):
    error = Answer("e", GREY, AnomalyResult(0.0, 0.0, Verdict.ERROR, error="too dark"))
    unread = Answer("u", None, AnomalyResult(0.0, 0.0, Verdict.ERROR, error="cut off"))
    written, missing = write_all(tmp_path, [ok("a"), ng("b"), error, unread], wanted)
    assert [name.partition(".00000")[2] for name in written] == endings
    assert missing == 0


def test_names_never_collide_within_a_run_or_across_runs(tmp_path):
    names = ["a\n.png", "a%0A.png", "x" * 250, "x" * 250 + "y", "b_\udce4.png", "../out.png", "CON", "a/b.png"]
    first, missing = write_all(tmp_path, map(ng, names), Wanted("ng", "none"))
    again, missing_again = write_all(tmp_path, map(ng, names), Wanted("ng", "none"))
    assert (len(first), len(again), missing, missing_again) == (8, 16, 0, 0)
    assert all(re.fullmatch(r"heat_maps/(a/)?(%2E%2E/)?[^/]+", name) for name in again)


@pytest.mark.parametrize("shape", [(20, 70_000), (70_000, 16), (33_000, 17)])
def test_a_frame_that_is_too_long_for_a_jpeg_is_shrunk(tmp_path, shape):
    image = np.full((*shape, 3), 90, np.uint8)
    written, missing = write_all(tmp_path, [ng("long", image), ng("next")])
    assert (len(written), missing) == (4, 0)
    heat_map = cv2.imread(str(tmp_path / written[0]))
    assert max(heat_map.shape) == 32_000
    assert cv2.imread(str(tmp_path / written[1])).shape == image.shape


def test_an_image_that_cannot_be_written_costs_a_warning_and_a_count(tmp_path, caplog):
    (tmp_path / IMAGES_FOLDER).mkdir()
    (tmp_path / IMAGES_FOLDER / "shift").write_text("not a folder")
    answers = [ng("shift/a\n.png"), ng("shift/b.png"), ng("other/c.png")]
    written, missing = write_all(tmp_path, answers, Wanted("ng", "none"))
    assert (written, missing) == (["heat_maps/other/c.png.000003.heat.jpg"], 2)
    (record,) = caplog.records
    assert record.getMessage().startswith("shift/a\\x0a.png: the heat map was not written: cannot write")
    with LogReader(tmp_path / "v.sqlite") as reader:
        assert reader.verdicts(("heat_map",))["heat_map"].to_list() == [None, None, written[0]]
        events = reader.events().to_dicts()
    assert [(event["kind"], event["count"]) for event in events] == [
        ("image_not_written", 1),
        ("images_not_written", 2),
    ]


def test_a_map_that_cannot_be_drawn_costs_a_count(tmp_path, caplog):
    broken = ng("broken", GREY, np.zeros((0, 0), np.float32))
    written, missing = write_all(tmp_path, [broken, ng("next")], Wanted("ng", "none"))
    assert (len(written), missing) == (1, 1)
    assert "the heat map was not written" in caplog.text


def test_room_that_is_kept_free_is_left_to_verdicts(tmp_path, caplog):
    keep = KeepImages(free=10**18)  # More than any disk has.
    written, missing = write_all(tmp_path, [ng(str(number)) for number in range(3)], keep=keep)
    assert (written, missing) == ([], 6)
    assert len(caplog.records) == 1
    assert "are kept for verdicts" in caplog.text


def test_images_are_kept_within_the_limit(tmp_path):
    answers = [ng("1"), *(ok(str(number)) for number in range(2, 6)), ng("6")]
    written, _ = write_all(tmp_path, answers, Wanted("all", "none"), KeepImages(images=3))
    assert [name.removeprefix("heat_maps/")[0] for name in written] == ["1", "5", "6"]


FULL = """
import sys
from pathlib import Path
import numpy as np
from edgekd.errors import MachineError
from edgekd.result import AnomalyResult, Verdict
from edgekd.runner import Answer
from edgekd.runner.sinks import ImageSink, Wanted
from edgekd.verdicts.limits import Limits
from edgekd.verdicts.log import Session, VerdictLog
from edgekd.verdicts.retention import KeepImages

image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
given = 0
try:
    with VerdictLog(Path(sys.argv[1]) / "v.sqlite", Session("s", "a", "h"), "0") as log:
        sink = ImageSink(log, Limits(1.0), Wanted(), KeepImages())
        for number in range(100_000):
            result = AnomalyResult(2.0, 1.5, Verdict.NG, (), np.zeros((8, 8), np.float32))
            row = log.write("part" * 20, result)
            sink.write(Answer("part", image, result), row)
            given += 1
except MachineError as error:
    print(given, sink.not_written, error)
"""


def test_a_full_disk_costs_images_first_and_no_verdict_that_was_given(small_disk):
    done = subprocess.run([sys.executable, "-c", FULL, str(small_disk)], check=True, capture_output=True, text=True)
    given, missing, line = done.stdout.split(maxsplit=2)
    assert line.startswith("no room left on the disk for ")
    images = len(list((small_disk / IMAGES_FOLDER).iterdir()))
    assert images + int(missing) == 2 * int(given)
    assert int(missing) > 500  # Verdicts went on long after the images.
    with LogReader(small_disk / "v.sqlite") as reader:
        assert reader.verdicts(("id",)).height - int(given) in (0, 1)
        assert reader.images()["kept"] == images
    assert Path(small_disk / "v.sqlite").stat().st_size > 100_000
