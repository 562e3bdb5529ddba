"""The papers' tables; every expected figure is read off the printed tables by hand."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from edgekd.data.category import Category
from edgekd.errors import EdgekdError
from edgekd.models.mthf import PAPER_LIKE_GROUPS
from edgekd.models.registry import SYSTEMS
from edgekd.paper_setups import PAPER_SETUPS
from edgekd.papers import list_tables, misprints, table
from edgekd.papers.rows import SOURCES, paper_value
from edgekd.papers.tables import TABLES, efficiency_rows, missing_tables
from edgekd.resources import resource
from edgekd.training.teachers.catalogue import CATALOGUE

FOLDER = resource("benchmarks/papers", "hkt_table4_efficiency.csv").parent


def test_every_table_that_there_is_has_its_line_in_the_list():
    assert {path.stem for path in FOLDER.glob("*.csv")} == set(TABLES)
    assert {path.stem for path in FOLDER.glob("*_missing.json")} == {"dskd_tables_missing", "mthf_tables_missing"}
    assert len(missing_tables()) == 2


def test_a_table_is_found_with_and_without_its_suffix():
    assert_frame_equal(table("hkt_table5_depth"), table("hkt_table5_depth.csv"))
    assert table("hkt_table5_depth")["method"].to_list() == ["HKT (no CBAM, no LP)", "HKT+ (no CBAM, no LP)"]


def test_every_figure_is_the_text_that_is_printed():
    for name in TABLES:
        assert set(table(name).dtypes) == {pl.String}
        assert sum(table(name).null_count().row(0)) == 0
    assert "100.0" in table("hkt_table3_mvtec_image_auroc")["value"]
    assert table("mhkd_table5_efficiency").row(by_predicate=pl.col("method") == "PatchCore")[2:4] == (
        "150 + 8",
        "159 + kNN",
    )


def test_the_list_counts_the_rows_of_every_table():
    listed = list_tables()
    assert listed.columns == ["table", "paper", "content", "rows"]
    assert listed["table"].to_list() == list(TABLES)
    assert dict(listed.select("table", "rows").iter_rows())["mhkd_table2_visa_mvtec"] == 464


@pytest.mark.parametrize("name", ["hkt_table9", "../hkt_table5_depth", "printed_mean_inconsistencies", ""])
def test_a_table_that_is_none_is_refused(name):
    with pytest.raises(EdgekdError, match="unknown table"):
        table(name)
    with pytest.raises(EdgekdError, match="unknown table"):
        misprints(name)


def test_the_efficiency_rows_are_those_of_the_systems_own_paper():
    assert [row["method"] for row in efficiency_rows("hkt")] == ["DRAEM", "US", "RD4AD", "HKT", "HKT+"]
    assert efficiency_rows("mhkd")[-1]["gflops"] == "234"
    assert efficiency_rows("dskd") == []


def test_every_noted_misprint_is_a_cell_of_a_table():
    found = {name: misprints(name).select("method", "category", "metric").rows() for name in TABLES}
    assert {name: len(cells) for name, cells in found.items() if cells} == {
        "hkt_table3_mvtec_image_auroc": 3,
        "mhkd_table2_visa_mvtec": 1,
        "pfadseg_table2_pixel_auc_ap": 5,
        "pfadseg_table3_iap": 2,
    }
    assert all(misprints(name)["printed"].null_count() == 0 for name in TABLES)
    assert found["mhkd_table2_visa_mvtec"] == [("RD", "MVTec AD/Mean", "image_AUROC_percent")]
    assert ("DRAEM", "average all", "pixel_AP_percent") in found["pfadseg_table2_pixel_auc_ap"]


def test_the_mean_of_the_rows_in_a_misprint_is_theirs():
    own = table("hkt_table3_mvtec_image_auroc").filter(
        pl.col("method") == "HKT+", ~pl.col("category").str.starts_with("Avg.")
    )
    misprint = misprints("hkt_table3_mvtec_image_auroc").row(by_predicate=pl.col("method") == "HKT+", named=True)
    assert own.height == 15
    assert misprint["printed"] == "98.69"
    assert misprint["mean_of_rows"] == pytest.approx(own["value"].cast(pl.Float64).mean(), abs=1e-4)


@pytest.mark.parametrize(
    ("system", "dataset", "category", "metric", "expected"),
    [
        ("hkt", "mvtec_ad", "transistor", "image_auroc", 0.905),
        ("hkt", "mvtec_ad", "metal_nut", "image_auroc", 0.9946),
        ("hkt_plus", "mvtec_ad", "transistor", "image_auroc", 0.9408),
        ("hkt_plus", "mvtec_ad", None, "image_auroc", 0.9869),
        ("hkt_plus", "btad", None, "image_auroc", 0.9458),
        ("mhkd", "mvtec_loco", "breakfast_box", "spro", 0.693),
        ("mhkd", "mvtec_loco", None, "spro", 0.829),
        ("mhkd", "mvtec_loco", None, "image_auroc", 0.91),
        ("mhkd", "mvtec_loco", None, "spro_logical", 0.787),
        ("mhkd", "visa", "candle", "image_auroc", 0.979),
        ("mhkd", "visa", "chewinggum", "pixel_auroc", 0.988),
        ("mhkd", "visa", "pipe_fryum", "image_auroc", 1.0),
        ("mhkd", "visa", None, "image_auroc", 0.975),
        ("mhkd", "mvtec_ad", "transistor", "pixel_auroc", 0.982),
        ("mhkd", "mvtec_ad", None, "pixel_auroc", 0.985),
        ("mhkd", "retinal_oct", None, "specificity", 0.9254),
        ("pfadseg", "mvtec_ad", None, "image_auroc", 0.989),
        ("pfadseg", "mvtec_ad", "carpet", "pixel_ap", 0.754),
        ("pfadseg", "mvtec_ad", "transistor", "pixel_auroc", 0.942),
        ("pfadseg", "mvtec_ad", "carpet", "iap", 0.876),
        ("pfadseg", "mvtec_ad", "carpet", "iap_at_90", 0.704),
        ("dskd", "cifar10", None, "image_auroc", 0.865),
    ],
)
def test_a_papers_figure_is_found(system, dataset, category, metric, expected):
    found = paper_value(system, dataset, category, metric)
    assert found is not None
    assert found.value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("system", "dataset", "category", "metric"),
    [
        ("hkt", "mvtec_ad", "transistor", "pixel_auroc"),  # HKT reports no pixel figures.
        ("hkt", "mvtec_ad", "magnetic_tile", "image_auroc"),
        ("hkt", "btad", None, "image_auroc"),  # Only HKT+ is reported.
        ("hkt_plus", "btad", "02", "image_auroc"),  # A lower bound is no figure.
        ("mhkd", "visa", "transistor", "image_auroc"),
        ("mhkd", "mvtec_ad", "candle", "image_auroc"),
        ("pfadseg", "mvtec_ad", "carpet", "image_auroc"),  # Its mean alone is printed.
        ("mthf", "mvtec_ad", None, "pixel_auroc"),
        ("dskd", "mvtec_ad", None, "image_auroc"),
        ("hkt", "mvtec_ad", "transistor", "no_such_metric"),
    ],
)
def test_what_a_paper_does_not_report_is_none(system, dataset, category, metric):
    assert paper_value(system, dataset, category, metric) is None


def test_a_figure_comes_with_how_the_paper_trained_and_what_is_wrong_with_it():
    found = paper_value("hkt_plus", "mvtec_ad", None, "image_auroc")
    assert found.printed == "98.69"
    assert found.table == "hkt_table3_mvtec_image_auroc"
    assert found.setup == PAPER_SETUPS["hkt_plus"]
    assert paper_value("dskd", "cifar10", None, "image_auroc").setup.sizes == (32,)
    assert found.note == "the mean of the printed rows is 98.44"
    assert paper_value("hkt", "mvtec_ad", None, "image_auroc").note == ""


def test_every_source_gives_every_metric_that_it_names():
    for (system, dataset), sources in SOURCES.items():
        for source in sources:
            for metric in source.metrics:
                assert paper_value(system, dataset, None, metric) is not None, (system, dataset, metric)
    assert {system for system, _ in SOURCES} == {*PAPER_SETUPS} - {"mthf"}


def test_every_system_is_trained_as_its_papers_set_up():
    assert PAPER_SETUPS.keys() == SYSTEMS.keys()
    for name, setup in PAPER_SETUPS.items():
        training = SYSTEMS[name].training
        assert (training.warm_up, training.initialisation) == (0.0, "random")
        for field in (
            "iterations",
            "epochs",
            "batch",
            "learning_rate",
            "weight_decay",
            "schedule",
            "optimizer",
            "betas",
        ):
            assert getattr(training, field) == getattr(setup, field)
        assert set(setup.teachers) <= CATALOGUE.keys()
    assert PAPER_SETUPS["mthf"].teachers == PAPER_LIKE_GROUPS


def test_a_category_is_found_by_its_layout_and_name():
    category = Category("juice_bottle", Path("juice_bottle"), [], [], "mvtec_loco")
    assert paper_value("mhkd", category.layout, category.name, "spro").printed == "0.967"
