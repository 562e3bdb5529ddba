"""How the papers' tables are laid out; every expected figure is read off the printed tables by hand."""

import polars as pl
import pytest

from edgekd.papers.layout import grids, remarks


def cell(figures, row, column):
    return figures.row(by_predicate=pl.nth(0) == row, named=True)[column]


def test_a_table_of_one_metric_has_the_longer_axis_downward_and_its_misprints_marked():
    (grid,) = grids("hkt_table3_mvtec_image_auroc")
    assert grid.title == "image_AUROC_percent"
    assert grid.figures.columns[:3] == ["category", "DRAEM", "STPM"]
    assert grid.figures.shape == (18, 12)
    assert cell(grid.figures, "Avg. Total", "HKT+") == "98.69*"
    assert cell(grid.figures, "Transistor", "HKT+") == "94.08 "


def test_a_table_of_several_metrics_is_a_grid_for_each():
    image, pixel = grids("pfadseg_table2_pixel_auc_ap")
    assert (image.title, pixel.title) == ("pixel_AUROC_percent", "pixel_AP_percent")
    assert cell(image.figures, "carpet", "STPM") == "99.1 "
    assert cell(pixel.figures, "carpet", "STPM") == "65.3 "
    assert cell(pixel.figures, "average all", "DRAEM") == "69.3*"


def test_a_figure_that_is_not_printed_is_an_empty_cell():
    (grid,) = grids("hkt_table1_mvtec_counts")
    assert grid.title == "dataset"
    assert cell(grid.figures, "Total", "side_px") == ""
    assert cell(grid.figures, "Tile", "side_px") == "840"


def test_a_table_of_costs_stands_as_it_is_and_its_remarks_apart():
    (grid,) = grids("mhkd_table5_efficiency")
    assert grid.title == ""
    assert grid.figures.columns == ["method", "pixel_sPRO", "params_M", "gflops", "latency_ms", "throughput_img_s"]
    assert cell(grid.figures, "PatchCore", "gflops") == "159 + kNN"
    assert remarks("mhkd_table5_efficiency")[1] == "PatchCore: 2xMACs (assumed); assumed backbone + memory bank"


@pytest.mark.parametrize("name", ["hkt_table3_mvtec_image_auroc", "mthf_text"])
def test_a_table_of_figures_alone_has_no_remarks(name):
    assert remarks(name) == []
