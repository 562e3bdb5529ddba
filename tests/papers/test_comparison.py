from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data.category import Category, TestImage
from edgekd.papers.comparison import compare_with_paper

MANIFEST = {
    "system": "hkt",
    "precision": "fp32",
    "trained": True,
    "iterations": 50_000,
    "teachers": [{"name": "efficientad_small"}],
    "inputs": {"frames": {"shape": [1, 256, 256, 3]}},
    "training": {
        "batch": 1,
        "learning_rate": 1e-4,
        "weight_decay": 1e-5,
        "schedule": "constant",
        "warm_up": 0.0,
        "optimizer": "adam",
        "initialisation": "random",
        "augment": [],
        "arithmetic": "float32",
        "quantization_aware_from": None,
        "settings": {},
        "synthetic_anomalies": False,
        "textures": 0,
        "trained_images": 213,
        "held_out_images": 0,
        "own_validation": False,
    },
}
MHKD = MANIFEST | {
    "system": "mhkd",
    "iterations": 80_000,
    "teachers": [{"name": "efficientad_medium"}],
    "training": MANIFEST["training"] | {"schedule": "step", "trained_images": 191, "held_out_images": 22},
}
MEASURED = {"image_auroc": 0.8, "pixel_auroc": None, "test_good": 60}


@pytest.fixture
def category(tmp_path):
    """Makes a category of that many images, of which one is on the disk."""

    def make(name="transistor", layout="mvtec_ad", counts=(213, 60, 40), side=1024):
        cv2.imwrite(str(tmp_path / "000.png"), np.zeros((side, side, 3), np.uint8))
        train, good, defective = counts
        images = [TestImage(tmp_path / "000.png", kind, None) for kind in ["good"] * good + ["bent"] * defective]
        return Category(name, tmp_path, [Path("000.png")] * train, images, layout)

    return make


def test_our_figures_meet_the_papers_of_the_same_category_and_metric(category):
    told = compare_with_paper(MANIFEST, category(), MEASURED)
    assert (told["dataset"], told["category"]) == ("MVTec AD", "transistor")
    printed = {"value": 0.905, "printed": "90.5", "table": "hkt_table3_mvtec_image_auroc", "note": ""}
    assert told["metrics"] == {"image_auroc": pytest.approx(printed)}


def test_the_papers_own_set_up_differs_in_nothing(category):
    assert compare_with_paper(MANIFEST, category(), MEASURED)["differences"] == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        (
            {"teachers": [{"name": "efficientnet_lite1"}]},
            "teacher: efficientnet_lite1; the paper's efficientad_small",
        ),
        ({"iterations": 900}, "iterations: 900; the paper's 50,000"),
        ({"inputs": {"frames": {"shape": [1, 128, 128, 3]}}}, "size: 128 pixels; the paper's 256"),
        ({"precision": "int8"}, "precision: int8; the paper's networks compute in float"),
        ({"trained": False}, "training: none, so the figures mean nothing"),
    ],
)
def test_each_difference_of_the_detector_is_named(category, changes, difference):
    (told,) = compare_with_paper(MANIFEST | changes, category(), MEASURED)["differences"]
    assert told.startswith(difference)


@pytest.mark.parametrize(
    ("given", "difference"),
    [
        ({"counts": (192, 60, 40)}, "good images to train on: 192; MVTec AD's transistor has 213"),
        ({"counts": (213, 59, 40)}, "good test images: 59; MVTec AD's transistor has 60"),
        ({"counts": (213, 60, 41)}, "defective test images: 41; MVTec AD's transistor has 40"),
        ({"side": 512}, "images: 512 x 512 pixels; MVTec AD's are 1024 x 1024"),
        ({"name": "metal_nut", "counts": (220, 22, 93)}, "images: 1024 x 1024 pixels; MVTec AD's are 700 x 700"),
    ],
)
def test_other_images_than_the_papers_are_found_out(category, given, difference):
    assert compare_with_paper(MANIFEST, category(**given), MEASURED)["differences"] == [difference]


def test_a_category_of_visa_in_the_layout_of_mvtec_ad_is_visas(category):
    told = compare_with_paper(MHKD, category("candle"), MEASURED | {"pixel_auroc": 0.9})
    assert told["dataset"] == "VisA"
    assert {name: value["value"] for name, value in told["metrics"].items()} == pytest.approx(
        {"image_auroc": 0.979, "pixel_auroc": 0.987}
    )
    assert told["differences"] == [
        "pixel metrics: at 256 pixels; the paper's at the images' own size",
        "images: taken for VisA's by layout and name; their number is not checked",
    ]


def test_retinal_oct_is_one_category_whatever_its_folder_is_called(category):
    told = compare_with_paper(MHKD, category("scans", "retinal_oct"), {"specificity": 0.9})
    assert told["metrics"]["specificity"]["printed"] == "92.54"


@pytest.mark.parametrize(("system", "name"), [("hkt", "magnetic_tile"), ("mthf", "transistor"), ("dskd", "transistor")])
def test_where_the_paper_reports_nothing_there_is_nothing(category, system, name):
    assert compare_with_paper(MANIFEST | {"system": system}, category(name), MEASURED) is None
