from __future__ import annotations

import base64
import dataclasses
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.data.images import decode_image
from edgekd.reports.evaluation import Metric, PaperFigures, PaperRow
from edgekd.reports.evaluation_html import EvaluationReport, ReportSample, write_evaluation_report
from edgekd.reports.gallery import PER_GROUP, colour_range
from edgekd.result import Verdict, verdict_of

THRESHOLD = 0.5


def sample(name: str, defect: str, score: float, **changes: object) -> ReportSample:
    made = ReportSample(name, defect, defect != "good", score, verdict_of(score, THRESHOLD), None, None, None)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


SAMPLES = [
    sample("g1", "good", 0.1),
    sample("g2", "good", 0.3),
    sample("g3", "good", 0.6),
    sample("c1", "crack", 0.3, severity=0.5),
    sample("c2", "crack", 0.9, severity=2.0),
    sample("s1", "stain", 0.8),
]

REPORT = EvaluationReport(
    title="A detector",
    image_auroc=0.9321,
    pixel_auroc=0.8765,
    metrics=[Metric("PRO", 0.54321, "overlap by region"), Metric("F1", 2 / 3, "at the detector's threshold")],
    threshold=THRESHOLD,
    threshold_origin="at most 5 % of 40 held-out good images above it",
    samples=SAMPLES,
    provenance={"Engine": "detector.onnx", "Threads": "2"},
    latency={"inference": {"min": 1, "mean": 1.5, "median": 1.25, "p90": 2, "p95": 3, "p99": 123.456}},
    paper=None,
    notes=["Trained for 10 iterations."],
    limits=[
        {
            "false_reject_rate": 0.05,
            "value": 0.5,
            "expected": 0.0488,
            "bound": 0.1489,
            "good": 3,
            "rejected": 1,
            "ng": 3,
            "missed": 1,
        }
    ],
)


def page_of(tmp_path: Path, **changes: object) -> str:
    path = tmp_path / "reports/evaluation.html"
    write_evaluation_report(path, dataclasses.replace(REPORT, **changes))  # type: ignore[arg-type]
    assert [each.name for each in path.parent.iterdir()] == ["evaluation.html"]
    return path.read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """What a person reads, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S)).split())


def charts_of(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S)]


def images_of(page: str) -> list[NDArray[np.uint8]]:
    encoded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [decode_image(base64.b64decode(each), "an image of the page") for each in encoded]


def test_the_limits_stand_beside_what_they_do_to_the_test_set(tmp_path: Path) -> None:
    assert "5.0 % 0.5 4.9 % 15 % 1 of 3 1 of 3" in text_of(page_of(tmp_path))


def test_the_headline_has_the_figures(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path))
    assert "6 test images: 3 good, 3 defective" in text
    assert "Image AUROC 0.9321" in text
    assert "Pixel AUROC 0.8765" in text
    assert "PRO 0.5432 overlap by region F1 0.6667 at the detector&#39;s threshold" in text
    assert "Threshold 0.5000 at most 5 % of 40 held-out good images above it" in text
    assert "Missed defects 1 of 3" in text
    assert "False rejects 1 of 3" in text
    assert "OK 3 · NG 3 · ERROR 0" in text
    assert "Trained for 10 iterations." in text


def test_the_papers_figures_stand_beside_ours_with_what_differs(tmp_path: Path) -> None:
    assert "paper" not in text_of(page_of(tmp_path))
    rows = [PaperRow("Image AUROC", 0.9, 0.95, ""), PaperRow("PRO", 0.7, 0.65, "the mean of the rows is 60.00")]
    text = text_of(page_of(tmp_path, paper=PaperFigures("MVTec AD, screw", rows, ["size: 64 pixels; the paper's 256"])))
    assert "Image AUROC 0.9000 0.9500 -0.0500 PRO 0.7000 0.6500 +0.0500" in text
    assert "The printed PRO: the mean of the rows is 60.00." in text
    assert "The set-up differs: size: 64 pixels; the paper&#39;s 256" in text


def test_classes_are_counted_and_compared_with_the_good(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path))
    assert "good 3 1 of 3 0.3333 \N{EN DASH}" in text
    # Crack at 0.3 beats one good, ties with one; at 0.9 it beats three: 4.5 of 6 pairs.
    assert "crack 2 1 of 2 0.6000 1.25 0.7500" in text
    assert "stain 1 1 of 1 0.8000 \N{EN DASH} 1.0000" in text


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    page = page_of(tmp_path, samples=[dataclasses.replace(each, image=image) for each in SAMPLES])
    assert "http" not in page
    assert "<script" not in page
    assert "<link" not in page
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|href)="([^"]*)', page))


def test_names_and_texts_are_escaped(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    image = np.zeros((32, 32, 3), np.uint8)
    page = page_of(
        tmp_path,
        title=evil,
        threshold_origin=evil,
        provenance={evil: evil},
        notes=[evil],
        latency={evil: {}},
        samples=[*SAMPLES, sample(evil, evil, 0.95, image=image), sample(evil, evil, math.nan)],
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_file_name_that_is_no_utf8_does_not_cost_the_report(tmp_path: Path) -> None:
    assert "b?d.png" in page_of(tmp_path, samples=[*SAMPLES, sample("b\udce4d.png", "crack", 0.95)])


def test_the_gallery_shows_the_worst_first_and_no_more_than_fit(tmp_path: Path) -> None:
    missed = [sample(f"missed{n}", "crack", 0.4 - 0.01 * n) for n in range(PER_GROUP + 2)]
    page = page_of(tmp_path, samples=[*SAMPLES, *missed])
    groups = dict(re.findall(r"<h3>(.*?) <small>.*?</h3>(.*?)</section>", page, flags=re.S))
    names = {title: re.findall(r'<div class="name">(.*?)</div>', group) for title, group in groups.items()}
    assert names == {
        "Missed defects": ["c1", *(f"missed{n}" for n in range(PER_GROUP + 1, 2, -1))],
        "False rejects": ["g3"],
        "Most anomalous": ["c2", "s1"],
        "Best good": ["g1", "g2"],
    }


def test_a_sample_shows_its_image_and_its_heat_map_with_the_outline(tmp_path: Path) -> None:
    image = np.full((512, 256, 3), 60, np.uint8)
    anomaly_map = np.zeros((56, 28), np.float32)
    anomaly_map[:28] = 1
    mask = np.zeros((512, 256), np.bool_)
    mask[320:448, 64:192] = True
    shown = sample("c", "crack", 0.95, image=image, anomaly_map=anomaly_map, mask=mask)
    plain, heat = images_of(page_of(tmp_path, samples=[*SAMPLES, shown]))
    assert plain.shape == heat.shape == (256, 128, 3)
    np.testing.assert_allclose(plain, 60, atol=2)
    assert heat[:100].mean() > 120
    np.testing.assert_allclose(heat[235:], 60, atol=6)
    edge = heat[156:166, 64].astype(int)  # Across the upper line of the outline, whose middle is cyan.
    assert (edge[:, :2].min(axis=1) - edge[:, 2]).max() > 100


def test_a_full_gallery_of_noise_stays_below_three_megabytes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    samples = [
        sample(
            f"{defect}{n}",
            defect,
            score,
            image=generator.integers(0, 256, (256, 256, 3), dtype=np.uint8),
            anomaly_map=generator.random((64, 64), np.float32),
        )
        for defect in ("good", "crack")
        for score in (0.2, 0.8)
        for n in range(PER_GROUP + 2)
    ]
    page = page_of(tmp_path, samples=samples)
    assert len(images_of(page)) == 4 * PER_GROUP * 2
    assert len(page) < 3_000_000


def test_an_image_without_a_score_is_counted_named_and_left_out(tmp_path: Path) -> None:
    page = page_of(tmp_path, samples=[*SAMPLES, sample("broken.png", "crack", math.nan)])
    text = text_of(page)
    assert "OK 3 · NG 3 · ERROR 1" in text
    assert "1 image without a score" in text
    assert "crack 3 1 of 3 0.6000 1.25 0.7500" in text
    assert page.count("broken.png") == 1


def test_without_a_threshold_no_verdict_is_claimed(tmp_path: Path) -> None:
    samples = [dataclasses.replace(each, verdict=Verdict.ERROR) for each in SAMPLES]
    page = page_of(tmp_path, samples=samples, threshold=None, threshold_origin="none was chosen")
    text = text_of(page)
    assert "Threshold \N{EN DASH} none was chosen" in text
    assert "Missed defects" not in text
    assert 'class="chip' not in page
    assert 'class="threshold"' not in page
    assert "Lowest-scoring defects" in text


def test_what_was_not_measured_is_not_shown(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path, pixel_auroc=None, latency=None, notes=[], provenance={}))
    assert "Pixel AUROC \N{EN DASH} not measured: no masks" in text
    assert "Latency" not in text
    assert "Provenance" not in text


def test_latency_and_provenance_are_tables(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path))
    assert "Stage min mean median p90 p95 p99 inference 1.000 1.500 1.250 2.000 3.000 123.5" in text
    assert "Engine detector.onnx Threads 2" in text


def test_the_histogram_has_an_image_in_every_bar_and_the_threshold_between(tmp_path: Path) -> None:
    histogram = charts_of(page_of(tmp_path))[0]
    bars = {css: histogram.findall(f"rect[@class='{css}']") for css in ("good", "bad")}
    assert {css: len(found) for css, found in bars.items()} == {"good": 3, "bad": 3}
    [line] = histogram.findall("line[@class='threshold']")
    x = float(line.attrib["x1"])
    assert [float(bar.attrib["x"]) > x for bar in bars["good"]] == [False, False, True]
    assert [float(bar.attrib["x"]) > x for bar in bars["bad"]] == [False, True, True]
    lowest_good = max(float(bar.attrib["y"]) + float(bar.attrib["height"]) for bar in bars["good"])
    assert lowest_good == pytest.approx(min(float(bar.attrib["y"]) for bar in bars["bad"]), abs=0.2)


def test_the_roc_curve_runs_through_the_hand_worked_points(tmp_path: Path) -> None:
    roc = charts_of(page_of(tmp_path))[1]
    [curve] = roc.findall("polyline")
    points = [tuple(float(v) for v in point.split(",")) for point in curve.attrib["points"].split()]
    (left, bottom), (right, top) = points[0], points[-1]
    shares = [((x - left) / (right - left), (bottom - y) / (bottom - top)) for x, y in points]
    # From the highest score down: two defects, a good one, the tie of one each at 0.3, the last good one.
    expected = [(0, 0), (0, 1 / 3), (0, 2 / 3), (1 / 3, 2 / 3), (2 / 3, 1), (1, 1)]
    np.testing.assert_allclose(shares, expected, atol=0.001)
    [point] = roc.findall("circle")
    assert (float(point.attrib["cx"]), float(point.attrib["cy"])) == pytest.approx(points[3], abs=0.1)


@pytest.mark.parametrize("scores", [(2.0, 2.0), (0.0, 0.0), (-3.0, 1e-9), (1e-7, 1.1e-7), (5.0, 4e6)])
def test_any_scores_make_a_chart_inside_its_frame(tmp_path: Path, scores: tuple[float, float]) -> None:
    samples = [sample("g", "good", scores[0]), sample("c", "crack", scores[1])]
    histogram, roc = charts_of(page_of(tmp_path, samples=samples, threshold=scores[0]))
    for bar in histogram.findall("rect"):
        assert 0 < float(bar.attrib["x"]) < 440
        assert 0 < float(bar.attrib["y"]) < float(bar.attrib["y"]) + float(bar.attrib["height"]) < 310
    assert len(histogram.findall("rect")) == 2
    assert len(roc.findall("polyline")) == 1


@pytest.mark.parametrize("samples", [[], SAMPLES[:3], [sample("c", "crack", math.nan)]])
def test_a_report_is_written_even_where_a_class_is_missing(tmp_path: Path, samples: list[ReportSample]) -> None:
    page = page_of(tmp_path, samples=samples, image_auroc=math.nan)
    assert "Image AUROC \N{EN DASH}" in text_of(page)
    assert "ROC curve" not in page


def test_heat_maps_fade_in_between_good_backgrounds_and_defect_peaks() -> None:
    background = np.linspace(0, 1, 101, dtype=np.float32).reshape(1, 101)
    samples = [
        sample("g", "good", 0.1, anomaly_map=background),
        sample("c", "crack", 0.9, anomaly_map=background + 4),
        sample("d", "crack", 0.9, anomaly_map=np.array([[np.nan, 7]], np.float32)),
        sample("e", "crack", math.nan),
    ]
    assert colour_range(samples) == pytest.approx((0.99, 6.0))
