"""The papers' tables, as CSV files that stand in benchmarks/papers."""

from __future__ import annotations

import csv
from typing import Any

from edgekd.resources import resource


def read_table(name: str) -> list[dict[str, str]]:
    """A paper's table, one dictionary a row.

    Args:
        name: The file's, such as "hkt_table4_efficiency.csv".
    """
    with resource("benchmarks/papers", name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def efficiency_rows(system: str) -> list[dict[str, Any]]:
    """The rows of a system's table of sizes and costs, its own and those it was compared with.

    Args:
        system: Such as "hkt".

    Returns:
        `method`, `params_m`, `gflops`, `flops_convention`, `included`; numbers stay as printed. Empty where the paper
        prints no such table.
    """
    if system not in EFFICIENCY_TABLES:
        return []
    return [
        {
            "method": row["method"],
            "params_m": row["params_M"],
            "gflops": row["gflops"],
            "flops_convention": row["flops_convention"],
            "included": row["included"],
        }
        for row in read_table(EFFICIENCY_TABLES[system])
    ]


# The other papers print no such table.
EFFICIENCY_TABLES = {
    "hkt": "hkt_table4_efficiency.csv",
    "hkt_plus": "hkt_table4_efficiency.csv",
    "mhkd": "mhkd_table5_efficiency.csv",
}
