"""The report of a bench, of figures whose every number is known."""

from __future__ import annotations

import copy
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edgekd.papers.efficiency import compare_efficiency
from edgekd.profiling.layers import Layer, sum_of_floors, time_over_floor, with_floors
from edgekd.reports.bench_charts import Axis, latency_svg
from edgekd.reports.bench_html import MOST_LAYERS, layer_rows, layers_summary, write_bench_report

PEAKS, BANDWIDTH = {"fp32": 50e9, "int8": 200e9}, 10e9
LAYERS = [
    Layer(
        "node_conv2d", "Convolution", "network.student.convolutions.0.weight", "int8", 2_000_000_000, 4_000_000, 40.0
    ),
    Layer("node_mul", "Subgraph", None, "fp32", 0, 100_000_000, 12.5),
    Layer("Multiply_7", "Convolution", "Multiply_8", "fp32", 500_000_000, 1_000_000, 20.0),
]


def times(median: float) -> dict[str, float]:
    return {"min": 1.0, "mean": median, "median": median, "p90": 2.0, "p95": 3.0, "p99": 123.456}


def made(system: str = "hkt", layers: list[Layer] = LAYERS) -> dict[str, Any]:
    rows, total = with_floors(layers, PEAKS, BANDWIDTH), sum(layer.time_ms for layer in layers)
    manifest = {"system": system, "precision": "int8", "inputs": {"frames": {"shape": [1, 256, 256, 3]}}}
    return {
        "device": {
            "processor": "A processor",
            "machine": "x86_64",
            "system": "Linux",
            "python": "3.11",
            "threads": 2,
            "governor": "performance",
            "gpu": None,
            "peak_macs_per_second": PEAKS,
            "peak_arithmetic": {"fp32": "float32", "int8": "INT8 with AMX"},
            "bandwidth_bytes_per_second": BANDWIDTH,
        },
        "engine": {
            "backend": "openvino",
            "version": "2026.1",
            "device": "CPU",
            "cuda_graphs": None,
            "width": 256,
            "height": 256,
            "system": system,
            "precision": "int8",
            "trained": True,
            "file": "detector.onnx",
            "sha256": "abc123",
        },
        "measured": {
            "warm_up_s": 1.0,
            "frames": 10,
            "images": "8 generated ones",
            "timed_region": "decoded image to verdict",
            "peak": "products",
            "bandwidth": "sums",
            "layers": "timed one by one",
        },
        "latency_ms": {"inference": times(70.0), "end_to_end": times(72.5)},
        "latency_distribution": {"edges_ms": [70.0, 72.0, 74.0, 76.0], "counts": [2, 6, 1], "above": 1},
        "throughput_fps": {"1": 13.25, "4": 17.5},
        "power": {"1": None, "4": {"mean_watts": 45.5, "joules_per_frame": 2.6}},
        "macs": 2_500_000_000,
        "macs_per_second": 2.5e9 / 0.07,
        "peak_share": 2.5e9 / 0.07 / 200e9,
        "peak_share_of": "int8",
        "layers": rows,
        "layers_batch": 1,
        "layers_total_ms": total,
        "floor_ms": sum_of_floors(rows),
        "time_over_floor": time_over_floor(total, sum_of_floors(rows)),
        "paper": compare_efficiency(manifest, on_cpu=True),
    }


def page_of(folder: Path, figures: dict[str, Any]) -> str:
    path = folder / "reports" / "bench.html"
    write_bench_report(path, figures)
    assert [each.name for each in path.parent.iterdir()] == ["bench.html"]
    return path.read_text(encoding="utf-8")


def text_of(page: str) -> str:
    body = page.partition("<body>")[2]
    return " ".join(
        re.sub(r"<[^>]*>", " ", re.sub(r"<wbr>", "", re.sub(r"<svg.*?</svg>", "", body, flags=re.S))).split()
    )


def charts_of(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(chart) for chart in re.findall(r"<svg.*?</svg>", page, re.S)]


def test_the_headline_has_the_figures(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path, made()))
    assert "hkt int8 on openvino" in text
    assert "Latency, median 72.5 ms" in text
    assert "Latency, p99 123 ms over 10 frames" in text
    assert "Throughput 17.5 fps at batch 4" in text
    assert "Share of int8 peak 18% 35.7 of 200 GMAC/s measured" in text
    assert "MACs per frame 2.50 G" in text
    # 2e9 / 2e11, 1e8 / 1e10 and 5e8 / 5e10 of a second: 10 ms each.
    assert (
        "Sum of floors 30.0 ms at the measured peaks and 10.0 GB/s of memory; the layers take 2.42 times that" in text
    )


def test_layers_stand_slowest_first_with_floor_and_bound(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path, made()))
    assert "student.convolutions.0 node_conv2d · Convolution 40.0 55% 10.0 4.00 compute int8 2.00 4.00" in text
    assert "Multiply_7 Convolution 20.0 28% 10.0 2.00 compute fp32 0.500 1.00" in text
    assert "node_mul Subgraph 12.5 17% 10.0 1.25 memory fp32 0 100" in text
    assert text.index("student.convolutions.0") < text.index("Multiply_7") < text.index("node_mul")
    assert "3 layers take 72.5 ms together; the median inference without timing layers takes 70.0 ms" in text
    assert "at their floors they would take 30.0 ms, and they take 2.42 times that." in text


def test_layers_past_the_slowest_are_summed(tmp_path: Path) -> None:
    small = [Layer(f"small{n}", "Reduce", None, "fp32", 0, 1_000_000, 0.5) for n in range(MOST_LAYERS)]
    rows = layer_rows(made(layers=[*LAYERS, *small]))
    assert len(rows) == MOST_LAYERS + 1
    assert (rows[-1].name, rows[-1].time, rows[-1].floor) == ("the other 3", "1.50", "0.300")
    assert rows[-1].time_over_floor == "5.00"


def test_what_is_not_known_of_a_layer_is_not_invented(tmp_path: Path) -> None:
    figures = made(layers=[*LAYERS, Layer("attention", "MHA", None, "fp32", None, None, 9.0)])
    text = text_of(page_of(tmp_path, figures))
    assert "attention MHA 9.00 11% \N{EN DASH} \N{EN DASH} \N{EN DASH} fp32 unknown \N{EN DASH}" in text
    assert "Sum of floors \N{EN DASH} unknown for some layers" in text
    assert "at their floors" not in text
    assert "whole" not in {each.get("class") for each in charts_of(page_of(tmp_path, figures))[1].iter()}


def test_without_timed_layers_the_page_says_so(tmp_path: Path) -> None:
    figures = made(layers=[]) | {"layers_total_ms": None, "layers_batch": None, "peak_share": None}
    figures["device"] |= {"threads": 0, "peak_macs_per_second": {}, "bandwidth_bytes_per_second": None}
    figures |= {"floor_ms": None, "time_over_floor": None}
    figures["measured"]["layers"] = "not timed on tensorrt"
    page = page_of(tmp_path, figures)
    assert "Layers: not timed on tensorrt." in text_of(page)
    assert len(charts_of(page)) == 1
    assert layers_summary(figures) is None


def test_the_histogram_has_a_bar_for_each_filled_bin_and_the_median_between() -> None:
    chart = ElementTree.fromstring(latency_svg(made()["latency_distribution"], 72.5))
    bars = chart.findall("rect")
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert [height / max(heights) for height in heights] == pytest.approx([2 / 6, 1, 1 / 6], abs=0.01)
    [line] = chart.findall("line[@class='threshold']")
    left, width = float(bars[1].attrib["x"]), float(bars[1].attrib["width"])
    assert left < float(line.attrib["x1"]) < left + width


def test_equal_latencies_make_a_chart() -> None:
    spread = {"edges_ms": [5.0, 5.0 * (1 + 1e-6)], "counts": [3], "above": 0}
    assert len(ElementTree.fromstring(latency_svg(spread, 5.0)).findall("rect")) == 1


def test_dots_lie_where_their_layers_work_below_the_roofs(tmp_path: Path) -> None:
    roofline = charts_of(page_of(tmp_path, made()))[1]
    dots = roofline.findall("circle")
    assert [dot.attrib["class"] for dot in dots] == ["layer bad", "layer good"]  # Without MACs there is no dot.
    # The same MACs per byte, 500: below one another, at 50 and 25 GMAC/s.
    assert dots[0].attrib["cx"] == dots[1].attrib["cx"]
    roofs = {roof.attrib["class"]: points(roof) for roof in roofline.findall("polyline")}
    height_of_four = roofs["roof good"][-1][1] - roofs["roof bad"][-1][1]  # From 50 to 200 GMAC/s.
    below = float(dots[1].attrib["cy"]) - float(dots[0].attrib["cy"])
    assert below == pytest.approx(height_of_four * math.log(2) / math.log(4), abs=0.2)
    assert float(dots[0].attrib["cy"]) == pytest.approx(roofs["roof good"][-1][1], abs=0.1)
    # Areas are as the shares of the time, beside the smallest radius.
    radii = [float(dot.attrib["r"]) - 2.5 for dot in dots]
    assert (radii[0] / radii[1]) ** 2 == pytest.approx(40 / 20, rel=0.03)
    [whole] = roofline.findall("polygon")
    assert whole.attrib["class"] == "whole"


def points(line: ElementTree.Element) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]


def test_a_logarithmic_axis_places_and_counts() -> None:
    axis = Axis(1.0, 10_000.0, 0.0, 400.0)
    assert [axis.place(value) for value in (1, 10, 100, 10_000, 1e9)] == pytest.approx([0, 100, 200, 400, 400])
    assert list(axis.ticks()) == [1, 10, 100, 1000, 10_000]
    assert list(Axis(3.0, 60.0, 0, 1).ticks()) == [5, 10, 20, 50]


def test_the_paper_stands_beside_with_its_own_devices_speed_said_as_such(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path, made("mhkd")))
    assert "MHKD (Ours) 234 117.00 234.00 8.2 151 teacher+student" in text
    assert "this graph, here \N{EN DASH} 2.50 5.00 72.5 17.5 teacher + student" in text
    assert "Printed latency and throughput are those of the paper's device, not of this one." in text
    assert "precision: int8; the paper&#39;s networks compute in float" in text


def test_hkts_paper_prints_no_speed_and_the_others_no_table(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path, made("hkt")))
    assert "HKT 20.31 20.31 40.62 student only" in text
    assert "own device" not in text
    assert "Beside the paper" not in text_of(page_of(tmp_path, made("dskd")))


def test_stages_throughput_and_record_are_tables(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path, made()))
    assert "inference 1.00 70.0 70.0 2.00 3.00 123" in text
    assert "Batch Frames per second Mean power, W J per frame 1 13.2 \N{EN DASH} \N{EN DASH} 4 17.5 45.5 2.60" in text
    assert "Peak, int8 200 GMAC/s" in text
    assert "Memory measurement sums" in text
    assert "SHA-256 abc123" in text


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = page_of(tmp_path, made())
    for needs in ("http", "<script", "<link", "src=", "href=", "url("):
        assert needs not in page
    assert "--page" in page  # The style is inside.


def test_names_and_texts_are_escaped(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    figures = copy.deepcopy(
        made("mhkd", [LAYERS[0]._replace(name=evil, weights=evil + ".x", kind=evil, precision=evil)])
    )
    for part in ("engine", "measured"):
        figures[part] |= {name: evil for name, value in figures[part].items() if isinstance(value, str)}
    figures["device"] |= {"processor": evil, "peak_macs_per_second": {evil: 1e9}, "peak_arithmetic": {evil: evil}}
    figures["paper"]["differences"] = [evil]
    figures["paper"]["rows"][0]["method"] = evil
    page = page_of(tmp_path, figures)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert len(charts_of(page)) == 2
