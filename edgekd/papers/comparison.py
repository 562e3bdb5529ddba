"""An evaluation beside what the system's paper reports of the same category, with every difference of set-up named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from edgekd.artifact import Manifest, frame_shape
from edgekd.data.category import Category
from edgekd.data.images import read_pixels
from edgekd.papers.rows import PaperValue, paper_value
from edgekd.papers.tables import read_table
from edgekd.papers.training import training_differences
from edgekd.preprocessing import Size, preprocessing_of, size_text
from edgekd.view import LETTERBOX, describe

DATASETS = {
    "mvtec_ad": "MVTec AD",
    "mvtec_loco": "MVTec LOCO AD",
    "btad": "BTAD",
    "visa": "VisA",
    "retinal_oct": "Retinal OCT",
}
# VisA's own script writes its categories in the layout of MVTec AD; their names show which dataset they belong to.
DATASETS_OF_LAYOUT = {"mvtec_ad": ("mvtec_ad", "visa")}
ONE_CATEGORY = "retinal_oct"
# Its pixel metrics are of maps in the size of the original image, ours in that of the engine.
AT_ORIGINAL_SIZE = "mhkd"


def compare_with_paper(manifest: Manifest, category: Category, figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """The paper's figures on the category that was evaluated.

    Args:
        manifest: The artifact's.
        category: The one that it was evaluated on.
        figures: Those of `evaluate --json`; what else the paper reports is left out.

    Returns:
        `dataset`, `category`, `metrics` (name -> `value` 0..1, `printed`, `table`, `note`) and `differences`, a line
        each; None where the paper reports nothing on this category.
    """
    for dataset in DATASETS_OF_LAYOUT.get(category.layout, (category.layout,)):
        name = None if dataset == ONE_CATEGORY else category.name
        reported = {metric: paper_value(manifest["system"], dataset, name, metric) for metric in _measured(figures)}
        found = {metric: value for metric, value in reported.items() if value is not None}
        if found:
            return {
                "dataset": DATASETS[dataset],
                "category": category.name,
                "metrics": {metric: _as_json(value) for metric, value in found.items()},
                "differences": list(_differences(manifest, category, dataset, found)),
            }
    return None


def _measured(figures: Mapping[str, Any]) -> list[str]:
    return [name for name, value in figures.items() if isinstance(value, float)]


def _as_json(value: PaperValue) -> dict[str, Any]:
    return {"value": value.value, "printed": value.printed, "table": value.table, "note": value.note}


def _differences(
    manifest: Manifest, category: Category, dataset: str, found: Mapping[str, PaperValue]
) -> Iterator[str]:
    """What differs from the paper's set-up, as far as it can be seen from artifact and images."""
    setup = next(iter(found.values())).setup
    yield from training_differences(manifest, setup)
    size = frame_shape(manifest)[1:]
    if not setup.has_size(*size):
        yield f"size: {size_text(size)} pixels; the paper's {setup.size_words}"
    view = preprocessing_of(manifest).view
    if view.is_partial or view.align is not None or view.count > 1:
        yield f"view: {describe(view)}; the paper's networks read the whole image"
    elif view.fit == LETTERBOX and _has_other_shape(category, size):
        yield "view: images are letterboxed; the paper's are stretched to a square"
    if manifest["precision"] != "fp32":
        yield f"precision: {manifest['precision']}; the paper's networks compute in float"
    if manifest["system"] == AT_ORIGINAL_SIZE and any(metric.startswith("pixel") for metric in found):
        yield f"pixel metrics: at {size_text(size)} pixels; the paper's at the images' own size"
    if dataset == "mvtec_ad":
        yield from _of_images(category)
    else:
        yield f"images: taken for {DATASETS[dataset]}'s by layout and name; their number is not checked"


def _has_other_shape(category: Category, size: Size) -> bool:
    """Whether the images of a category have another shape than what the network reads."""
    height, width = read_pixels(category.test[0].path).shape[:2]
    return bool(height * size[1] != width * size[0])


def _of_images(category: Category) -> Iterator[str]:
    """How a category differs from MVTec AD's of that name, whose images the papers count."""
    name = category.name.replace("_", " ").casefold()
    printed = read_table("hkt_table1_mvtec_counts").filter(pl.col("category").str.to_lowercase() == name)
    theirs = dict(printed.select("metric", pl.col("value").cast(pl.Int64)).iter_rows())
    defective = sum(image.defective for image in category.test)
    ours = {
        "good images to train on": (len(category.train_good), "train"),
        "good test images": (len(category.test) - defective, "test_good"),
        "defective test images": (defective, "test_defective"),
    }
    for what, (count, metric) in ours.items():
        if count != theirs[metric]:
            yield f"{what}: {count}; MVTec AD's {category.name} has {theirs[metric]}"
    side = theirs["side_px"]
    height, width = read_pixels(category.test[0].path).shape[:2]
    if (height, width) != (side, side):
        yield f"images: {width} x {height} pixels; MVTec AD's are {side} x {side}"
