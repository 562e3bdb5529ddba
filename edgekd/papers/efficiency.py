"""What a system's paper prints about its size and speed, with every difference from what is measured here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekd.artifact import Manifest, frame_shape
from edgekd.paper_setups import PAPER_SETUPS
from edgekd.papers.tables import efficiency_rows
from edgekd.preprocessing import preprocessing_of, size_text

OURS = (
    "macs are multiply-accumulates of the deployed graph, teacher and student together; "
    "twice as many if an addition and a multiplication count as two FLOPs"
)
# Teachers that are the same network with other weights: for size and speed there is no difference.
SAME_NETWORK = {"pdn_small": "efficientad_small", "pdn_medium": "efficientad_medium"}
OWN_NAMES = {"hkt": "HKT", "hkt_plus": "HKT+", "mhkd": "MHKD (Ours)"}


def compare_efficiency(manifest: Manifest, on_cpu: bool) -> dict[str, Any]:
    """The paper's table of sizes and costs.

    Args:
        manifest: That of the artifact that was measured.
        on_cpu: Whether it was measured on a CPU.

    Returns:
        `rows` as `efficiency_rows` gives them, `own`, the method in them that is this system, `ours`, what our MACs
        count, and `differences`, a line each; no rows where the paper prints no such table.
    """
    rows = efficiency_rows(manifest["system"])
    return {
        "rows": rows,
        "own": OWN_NAMES.get(manifest["system"]),
        "ours": OURS,
        "differences": list(_differences(manifest, rows, on_cpu)) if rows else [],
    }


def efficiency_figures(row: Mapping[str, Any]) -> tuple[str, str]:
    """A printed figure as GMACs and as twice as many GFLOPs, where it is known which of them is printed.

    Args:
        row: One of `efficiency_rows`.
    """
    convention = row["flops_convention"]
    try:
        figure = float(row["gflops"])
    except ValueError:  # Such as "159 + kNN".
        return "not known", "not known"
    if convention.startswith("MACs"):
        return f"{figure:.2f}", f"{2 * figure:.2f}"
    if convention.startswith("2xMACs") and "assumed" not in convention:
        return f"{figure / 2:.2f}", f"{figure:.2f}"
    return "not known", "not known"


def _differences(manifest: Manifest, rows: list[dict[str, Any]], on_cpu: bool) -> Iterator[str]:
    setup = PAPER_SETUPS[manifest["system"]]
    teachers = [teacher["name"] for teacher in manifest.get("teachers") or []]
    if teachers and tuple(SAME_NETWORK.get(name, name) for name in teachers) != setup.teachers:
        yield f"teacher: {' + '.join(teachers)}; the paper's {' + '.join(setup.teachers)}"
    size = frame_shape(manifest)[1:]
    if not setup.has_size(*size):
        yield f"size: {size_text(size)} pixels; the paper's {setup.size_words}"
    if (tiles := preprocessing_of(manifest).tiles) > 1:
        yield f"tiles: {tiles} of each image here; the paper's network reads an image once"
    if manifest["precision"] != "fp32":
        yield f"precision: {manifest['precision']}; the paper's networks compute in float"
    own = next(row for row in rows if row["method"] == OWN_NAMES[manifest["system"]])
    yield f"included: teacher, student, maps and score here; in the paper's figure {own['included']}"
    if own["latency_ms"] and on_cpu:
        yield "device: this CPU; the paper's latency and throughput are of a device of its own"
