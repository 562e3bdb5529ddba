"""What a paper reports for a system on a dataset, and how it got there: to be set beside one's own figures."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import polars as pl

from edgekd.paper_setups import PAPER_SETUPS, PaperSetup
from edgekd.papers.errata import misprints
from edgekd.papers.tables import read_table


class PaperValue(NamedTuple):
    """A figure of a paper.

    Attributes:
        value: A share, 0 to 1, whatever the paper prints.
        printed: As printed, percent or not.
        table: The file's name in benchmarks/papers, without ".csv".
        setup: How the paper trained.
        note: What is wrong with the printed figure; empty where nothing is known to be.
    """

    value: float
    printed: str
    table: str
    setup: PaperSetup
    note: str


class _Source(NamedTuple):
    """A table with a system's own figures on a dataset.

    Attributes:
        table: Its name.
        method: What it calls the system.
        metrics: Our metric's name -> the table's.
        mean: The category that stands for the whole dataset.
        prefix: Of the categories of this dataset, where a table holds several.
    """

    table: str
    method: str
    metrics: Mapping[str, str]
    mean: str
    prefix: str = ""


# The only known figure of DSKD, which it takes at CIFAR10's own size.
CIFAR10_SIDE = 32

IMAGE_AUROC = MappingProxyType({"image_auroc": "image_AUROC_percent"})
IMAGE_AND_PIXEL = MappingProxyType({"image_auroc": "image_AUROC_percent", "pixel_auroc": "pixel_AUROC_percent"})
LOCO_MEANS = MappingProxyType(
    {
        "image_auroc": "image_AUROC",
        "spro": "sPRO_mean",
        "spro_logical": "sPRO_logical",
        "spro_structural": "sPRO_structural",
    }
)
OCT_METRICS = MappingProxyType(
    {
        "image_auroc": "AUC_percent",
        "f1": "F1_percent",
        "accuracy": "ACC_percent",
        "sensitivity": "SEN_percent",
        "specificity": "SPE_percent",
    }
)
MHKD_FULL = "baseline + SEncoder2 + self-distillation loss"
MHKD_TABLE2, MHKD_OURS = "mhkd_table2_visa_mvtec", "MHKD (Ours)"

# System and dataset -> the tables, in the order in which they are searched.
SOURCES: dict[tuple[str, str], tuple[_Source, ...]] = {
    ("hkt", "mvtec_ad"): (_Source("hkt_table3_mvtec_image_auroc", "HKT", IMAGE_AUROC, "Avg. Total"),),
    ("hkt_plus", "mvtec_ad"): (_Source("hkt_table3_mvtec_image_auroc", "HKT+", IMAGE_AUROC, "Avg. Total"),),
    ("hkt_plus", "btad"): (_Source("hkt_text_btad", "HKT+", IMAGE_AUROC, "average"),),
    ("mhkd", "mvtec_loco"): (
        _Source("mhkd_table1_loco_spro", "Ours", MappingProxyType({"spro": "pixel_sPRO_AUC"}), "Mean"),
        _Source("mhkd_table4_ablation", MHKD_FULL, LOCO_MEANS, "MVTec LOCO AD"),
    ),
    ("mhkd", "visa"): (_Source(MHKD_TABLE2, MHKD_OURS, IMAGE_AND_PIXEL, "Mean", "VisA/"),),
    ("mhkd", "mvtec_ad"): (_Source(MHKD_TABLE2, MHKD_OURS, IMAGE_AND_PIXEL, "Mean", "MVTec AD/"),),
    ("mhkd", "retinal_oct"): (_Source("mhkd_table3_retinal_oct", "Ours", OCT_METRICS, "Retinal OCT"),),
    ("pfadseg", "mvtec_ad"): (
        _Source("pfadseg_table1_image_auc", "PFADSeg", IMAGE_AUROC, "average"),
        _Source(
            "pfadseg_table2_pixel_auc_ap",
            "PFADSeg",
            MappingProxyType({"pixel_auroc": "pixel_AUROC_percent", "pixel_ap": "pixel_AP_percent"}),
            "average all",
        ),
        _Source(
            "pfadseg_table3_iap",
            "PFADSeg",
            MappingProxyType({"iap": "IAP_percent", "iap_at_90": "IAP90_percent"}),
            "average all",
        ),
    ),
    ("dskd", "cifar10"): (
        _Source("dskd_text", "DSKD", MappingProxyType({"image_auroc": "sample_AUROC_percent"}), "CIFAR10 one-class"),
    ),
}
FOLDER_NAMES = {"candle": "candles"}  # Where a dataset's folder is called otherwise than in the tables.


def paper_value(system: str, dataset: str, category: str | None, metric: str) -> PaperValue | None:
    """The figure that a system's paper reports.

    Args:
        system: Such as "hkt".
        dataset: "mvtec_ad", "mvtec_loco", "btad", "visa", "retinal_oct" or "cifar10"; `Category.layout` where the
            images are that dataset's and not others in its layout.
        category: Its folder's name, such as "metal_nut"; None for the mean over the dataset, and for a dataset that is
            one category.
        metric: "image_auroc", "pixel_auroc", "pixel_ap", "iap", "iap_at_90", "spro", "spro_logical",
            "spro_structural" (area under the curve to a false positive rate of 0.05), "f1", "accuracy",
            "sensitivity" or "specificity".

    Returns:
        None where the paper reports no such figure, or its tables are not at hand.
    """
    for source in SOURCES.get((system, dataset), ()):
        wanted = source.mean if category is None else FOLDER_NAMES.get(category, category)
        row = _printed(source, wanted, source.metrics[metric]) if metric in source.metrics else None
        if row is not None:
            return _value(row, source.table, _setup(system, dataset))
    return None


def _setup(system: str, dataset: str) -> PaperSetup:
    setup = PAPER_SETUPS[system]
    return setup._replace(sizes=(CIFAR10_SIDE,)) if dataset == "cifar10" else setup


def _printed(source: _Source, category: str, metric: str) -> dict[str, Any] | None:
    """The row of a table that has a category's figure; None where there is none."""
    named = _plain(pl.col("category").str.strip_prefix(source.prefix))
    rows = read_table(source.table).filter(
        (pl.col("method") == source.method) & (pl.col("metric") == metric) & (pl.col("value") != ""),
        pl.col("category").str.starts_with(source.prefix),
        named == _plain(pl.lit(category)),
    )
    return None if rows.is_empty() else rows.row(0, named=True)


def _value(row: Mapping[str, str], table: str, setup: PaperSetup) -> PaperValue:
    share = float(row["value"]) / 100 if row["metric"].endswith("_percent") else float(row["value"])
    wrong = misprints(table).filter(method=row["method"], category=row["category"], metric=row["metric"])
    notes = [f"the mean of the printed rows is {mean:.2f}" for mean in wrong["mean_of_rows"]]
    return PaperValue(share, row["value"], table, setup, "; ".join(notes))


def _plain(name: pl.Expr) -> pl.Expr:
    """A category's name without case, blanks and underscores: tables and folders write them differently."""
    return name.str.to_lowercase().str.replace_all("[ _]", "")
