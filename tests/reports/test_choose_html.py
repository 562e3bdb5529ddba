"""The report of `choose`, of figures whose every number is known."""

import re
import shlex
from xml.etree import ElementTree

import pytest

from edgekd.reports.choose_html import accuracy_svg, write_choose_report
from edgekd.reports.choose_text import longer_training, next_command, verdict

ARTIFACT = "runs/my part/round2/hkt_128/detector_int8.onnx"
ROW = {
    "system": "hkt",
    "size": [128, 128],
    "teachers": ["efficientnet_lite1"],
    "round": 2,
    "run": "runs/my part/round2/hkt_128",
    "minutes": 2.5,
    "iterations": 700,
    "image_auroc": 0.95,
    "macs": 10**9,
    "seconds": 180.0,
    "error": None,
    "latency_ms": 20.0,
    "ceiling": 0.99,
    "ceiling_stands_still": True,
    "fast_enough": True,
}
SLOW = ROW | {"system": "mhkd", "size": [128, 320], "image_auroc": 0.97, "latency_ms": 80.0, "fast_enough": False}
FAILED = (
    ROW
    | dict.fromkeys(("image_auroc", "latency_ms", "ceiling", "iterations"))
    | {
        "system": "dskd",
        "error": "the loss is NaN",
        "fast_enough": False,
    }
)


def figures(**other):
    return {
        "out": "runs/my part",
        "data": "images/my part",
        "take": ROW["run"],
        "shipped": {"artifact": ARTIFACT, "image_auroc": 0.951, "latency_ms": 21.0},
        "rows": [ROW, SLOW, FAILED],
        "judge": {"good": 20, "defective": 140, "defects": "synthetic"},
        "latency_limit_ms": 40.0,
        "minutes": 30.0,
        "seconds": 1740.0,
        "notes": ["pfadseg is tried with another teacher"],
        "device": {"processor": "A processor", "threads": 2},
    } | other


def page_of(folder, content):
    write_choose_report(folder / "choose.html", content)
    return (folder / "choose.html").read_text(encoding="utf-8")


def text_of(page):
    body = re.sub(r"<svg.*?</svg>", "", page.partition("<body>")[2], flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_the_run_to_take_stands_first_with_its_figures(tmp_path):
    text = text_of(page_of(tmp_path, figures()))
    assert "Which system for the images in my part 3 candidates, judged on 20 held-out good images and 140" in text
    assert f"Take hkt at 128 pixels {ARTIFACT} Image AUROC 0.951" in text
    assert "Latency, median 21.0 ms in INT8, A processor" in text
    assert "1 hkt at 128 pixels efficientnet_lite1 0.950 20.0 0.990 0.040 2.5 700" in text
    assert "3 dskd at 128 pixels the loss is NaN" in text
    assert "in 29.0 minutes" in text
    assert "pfadseg is tried with another teacher" in text


def test_commands_can_be_pasted():
    words = shlex.split(next_command(figures()))
    assert words == ["edgekd", "inspect", "--source", "images/my part", "--engine", ARTIFACT]
    words = shlex.split(longer_training(figures()))
    assert words[:7] == ["edgekd", "train", "hkt", "--data", "images/my part", "--run", "runs/my part/hkt_128_longer"]
    assert words[7:] == ["--size", "128", "--teacher", "efficientnet_lite1", "--minutes", "10"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, "the ceiling of its teacher, efficientnet_lite1, is 0.990, 0.040 higher: training longer is worth it"),
        ({"ceiling_stands_still": False}, "efficientnet_lite1, is at least 0.990, 0.040 higher"),
        ({"ceiling": 0.96}, "is 0.960: it has learned most of that; for more, try another teacher with --teacher"),
        ({"ceiling": 0.95}, "is 0.950: it has reached that; for more, try another teacher with --teacher"),
        ({"ceiling": None}, None),
    ],
)
def test_it_says_whether_to_train_longer_or_to_take_another_teacher(row, expected):
    taken, *more = verdict(figures(rows=[ROW | row]))
    assert taken == (
        f"take {ARTIFACT}: hkt at 128 pixels in INT8, image AUROC 0.951 on 20 held-out good images and 140 synthetic "
        "defects, 21.0 ms an image"
    )
    assert not more if expected is None else expected in more[0]


def test_where_none_is_fast_enough_the_fastest_is_named(tmp_path):
    none = figures(take=None, shipped=None, rows=[SLOW, ROW | {"fast_enough": False}, FAILED], latency_limit_ms=5.0)
    text = text_of(page_of(tmp_path, none))
    assert "no candidate is as fast as 5 ms: the fastest is hkt at 128 pixels with 20.0 ms" in text
    assert "Next" not in text


def test_dots_lie_at_their_latency_and_accuracy_those_too_slow_in_another_colour():
    chart = ElementTree.fromstring(accuracy_svg([ROW, SLOW, FAILED], 40.0))
    slow, best = chart.findall("circle")  # The best is drawn last, over the others.
    assert (best.attrib["class"], slow.attrib["class"]) == ("candidate good", "candidate bad")
    # On the logarithmic axis the limit lies in the middle between a half and twice of it.
    [limit] = chart.findall("line[@class='threshold']")
    places = [float(value) for value in (best.attrib["cx"], limit.attrib["x1"], slow.attrib["cx"])]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    # The ceiling of 0.99 is twice as far above 0.95 as 0.97 is.
    [ceiling] = chart.findall("line[@class='chance']")
    heights = [float(value) for value in (best.attrib["cy"], slow.attrib["cy"], ceiling.attrib["y1"])]
    assert heights[0] - heights[2] == pytest.approx(2 * (heights[0] - heights[1]), abs=0.3)
    assert accuracy_svg([FAILED], None) is None


def test_names_and_texts_are_escaped(tmp_path):
    evil = '"><script>alert(1)</script>'
    row = ROW | {"system": evil, "run": evil, "teachers": [evil]}
    page = page_of(
        tmp_path,
        figures(
            rows=[row, FAILED | {"error": evil}],
            take=evil,
            shipped={"artifact": evil, "image_auroc": 0.9, "latency_ms": 20.0},
            data=evil,
            out=evil,
            notes=[evil],
        ),
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_needs_nothing_but_itself(tmp_path):
    page = page_of(tmp_path, figures())
    for needs in ("http", "<script", "<link", "src=", "href=", "url("):
        assert needs not in page
