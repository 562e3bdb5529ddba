import pytest

from edgekd.reports.benchmark_table import as_markdown, benchmark_row, failed_row, with_means


def evaluation(category, image_auroc, **changes):
    return {
        "category": category,
        "system": "hkt",
        "precision": "fp32",
        "size": [64, 64],
        "iterations": 2,
        "image_auroc": image_auroc,
        "pixel_auroc": None,
        "pixel_ap": None,
        "pro": None,
        "iap": None,
        "verdicts": {"missed_defects": 1, "false_rejects": 2},
        "test_defective": 3,
        "test_good": 4,
        "paper": {"metrics": {"image_auroc": {"value": 0.905}}},
    } | changes


BENCH = {
    "latency_ms": {"end_to_end": {"median": 12.34}},
    "throughput_fps": {"1": 50.0, "4": 81.04},
    "peak_share": 0.625,
    "engine": {"backend": "openvino"},
}


def test_a_row_holds_what_evaluate_and_bench_say():
    row = benchmark_row(evaluation("screw", 0.75), BENCH)
    assert (row["image_auroc"], row["paper_image_auroc"], row["missed_defects"]) == (0.75, 0.905, "1 of 3")
    assert (row["latency_ms"], row["throughput_fps"], row["backend"]) == (12.34, 81.04, "openvino")


def test_means_are_of_what_every_category_has_and_of_its_own_system_and_precision_alone():
    rows = [
        benchmark_row(evaluation("screw", 0.75, pro=0.5), BENCH),
        benchmark_row(evaluation("tile", 0.25, paper=None), BENCH),
        benchmark_row(evaluation("screw", 1.0, precision="int8"), BENCH),
    ]
    assert with_means(rows)[:3] == rows
    (mean,) = with_means(rows)[3:]
    assert mean == {"category": "mean of 2", "system": "hkt", "precision": "fp32", "image_auroc": 0.5}


def test_one_category_has_no_mean():
    rows = [benchmark_row(evaluation("screw", 0.75), BENCH)]
    assert with_means(rows) == rows


def test_a_row_that_failed_has_its_reason_and_no_mean_is_made_without_it():
    rows = [
        benchmark_row(evaluation("screw", 0.75), BENCH),
        failed_row("tile", "hkt", "fp32", "the loss became nan"),
        failed_row("screw", "hkt", "int8", "no INT8 graph drifts by 0.01 or less"),
    ]
    assert with_means(rows)[3:] == [{"category": "mean of 2", "system": "hkt", "precision": "fp32"}]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in as_markdown(rows).splitlines()]
    failed = [line[lines[0].index("failed")] for line in lines[2:]]
    assert failed == ["", "the loss became nan", "no INT8 graph drifts by 0.01 or less"]


def test_the_table_leaves_out_columns_without_a_value_and_cells_without_one_are_blank():
    rows = [
        benchmark_row(evaluation("screw", 0.75), BENCH),
        benchmark_row(evaluation("tile", 0.25, paper=None, verdicts=None), BENCH | {"peak_share": None}),
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in as_markdown(with_means(rows)).splitlines()]
    assert dict(zip(lines[0], lines[2], strict=True)) == {
        "category": "screw",
        "system": "hkt",
        "precision": "fp32",
        "size": "64",
        "image AUROC": "0.750",
        "the paper's": "0.905",
        "defects missed": "1 of 3",
        "good rejected": "2 of 4",
        "latency, ms": "12.3",
        "frames a second": "81.0",
        "of the peak": "62%",
    }
    assert lines[3] == ["tile", "hkt", "fp32", "64", "0.250", "", "", "", "12.3", "81.0", ""]
    assert lines[4][:5] == ["mean of 2", "hkt", "fp32", "", "0.500"]


@pytest.mark.parametrize("count", [1, 2])
def test_every_line_of_the_table_has_as_many_cells(count):
    rows = [benchmark_row(evaluation(f"tile{number}", 0.5), BENCH) for number in range(count)]
    assert len({line.count("|") for line in as_markdown(with_means(rows)).splitlines()}) == 1
