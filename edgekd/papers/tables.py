"""The papers' tables, as CSV files that stand in benchmarks/papers."""

from __future__ import annotations

import functools
import json
from typing import Any

import polars as pl

from edgekd.errors import unknown_name
from edgekd.resources import resource

FOLDER = "benchmarks/papers"
HKT, MHKD, PFADSEG, DSKD, MTHF = "HKT and HKT+, J. Imaging 2025", "MHKD", "PFADSeg", "DSKD", "MTHF"
TABLES = {  # name -> paper, what is in it
    "hkt_table1_mvtec_counts": (HKT, "Table 1: images of MVTec AD"),
    "hkt_table2_btad_counts": (HKT, "Table 2: images of BTAD"),
    "hkt_table3_mvtec_image_auroc": (HKT, "Table 3: image AUROC on MVTec AD, 11 methods"),
    "hkt_table4_efficiency": (HKT, "Table 4: parameters and GFLOPs, 5 methods"),
    "hkt_table5_depth": (HKT, "Table 5: both depths without attention and projectors"),
    "hkt_table6_ablation": (HKT, "Table 6: HKT+ with and without attention and projectors"),
    "hkt_text_btad": (HKT, "text: image AUROC on BTAD"),
    "mhkd_table1_loco_spro": (MHKD, "Table I: sPRO on MVTec LOCO AD, 18 methods"),
    "mhkd_table2_visa_mvtec": (MHKD, "Table II: image and pixel AUROC on VisA and MVTec AD, 8 methods"),
    "mhkd_table3_retinal_oct": (MHKD, "Table III: AUC, F1, accuracy, sensitivity, specificity on Retinal OCT"),
    "mhkd_table4_ablation": (MHKD, "Table IV: SEncoder2 and self-distillation, on MVTec LOCO AD"),
    "mhkd_table5_efficiency": (MHKD, "Table V: parameters, GFLOPs, latency and throughput, 7 methods"),
    "mhkd_text": (MHKD, "text: means on MVTec LOCO AD"),
    "pfadseg_table1_image_auc": (PFADSEG, "Table 1: mean image AUROC on MVTec AD, 7 methods"),
    "pfadseg_table2_pixel_auc_ap": (PFADSEG, "Table 2: pixel AUROC and AP on MVTec AD, 7 methods"),
    "pfadseg_table3_iap": (PFADSEG, "Table 3: IAP and IAP@90 on MVTec AD, 5 methods"),
    "pfadseg_table4_ablation": (PFADSEG, "Table 4: RCM, AFF and PCAR, on MVTec AD"),
    "dskd_text": (DSKD, "text: CIFAR10, parameters"),
    "mthf_text": (MTHF, "abstract: gain in pixel AUROC"),
}
# Tables of sizes and costs; the other papers print none.
EFFICIENCY_TABLES = {
    "hkt": "hkt_table4_efficiency",
    "hkt_plus": "hkt_table4_efficiency",
    "mhkd": "mhkd_table5_efficiency",
}
MEASURED = ("latency_ms", "throughput_img_s")  # On a device of its own; not every paper prints them.
MISSING_TABLES = ("dskd_tables_missing.json", "mthf_tables_missing.json")


def list_tables() -> pl.DataFrame:
    """The tables that there are.

    Returns:
        A row a table: its name (`table`), the `paper`, its `content` and how many `rows` it has.
    """
    return pl.DataFrame(
        [
            {"table": name, "paper": paper, "content": content, "rows": read_table(name).height}
            for name, (paper, content) in TABLES.items()
        ]
    )


def table(name: str) -> pl.DataFrame:
    """A table of a paper, every figure as the paper prints it.

    Args:
        name: One of TABLES, with or without ".csv".

    Returns:
        Columns of text: `method`, `category`, `metric` and `value` for most tables; tables of sizes and costs have a
        column for each figure, and columns that say how it was counted.

    Raises:
        EdgekdError: There is no such table; the error names the nearest one.
    """
    return read_table(table_name(name))


def table_name(name: str) -> str:
    """The name of a table that a user named, with or without ".csv".

    Raises:
        EdgekdError: There is no such table; the error names the nearest one.
    """
    stem = name.removesuffix(".csv")
    if stem not in TABLES:
        raise unknown_name("table", stem, TABLES)
    return stem


@functools.cache
def read_table(name: str) -> pl.DataFrame:
    """Reads a table, as text.

    Args:
        name: The file's in benchmarks/papers, without ".csv".
    """
    # No figure becomes a number: "98.50" stays as printed, and so does "159 + kNN". What is not printed is "".
    return pl.read_csv(resource(FOLDER, f"{name}.csv"), infer_schema=False).fill_null("")


def missing_tables() -> list[str]:
    """What of the papers is not at hand, one sentence a paper."""
    return [json.loads(resource(FOLDER, name).read_text(encoding="utf-8"))["missing"] for name in MISSING_TABLES]


def efficiency_rows(system: str) -> list[dict[str, Any]]:
    """The rows of a system's table of sizes and costs, its own and those it was compared with.

    Args:
        system: Such as "hkt".

    Returns:
        `method`, `params_m`, `gflops`, `flops_convention`, `included`, and where the paper prints them `latency_ms` and
        `throughput_img_s` on a device of its own, else None; numbers stay as printed. Empty where the paper prints no
        such table.
    """
    if system not in EFFICIENCY_TABLES:
        return []
    printed = read_table(EFFICIENCY_TABLES[system])
    on_a_device = [pl.col(name) if name in printed.columns else pl.lit(None).alias(name) for name in MEASURED]
    costs = printed.select(
        "method", pl.col("params_M").alias("params_m"), "gflops", "flops_convention", "included", *on_a_device
    )
    return costs.to_dicts()
