"""Evaluating with an engine whose answers are known: the map is the image's blue channel, the score its maximum."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data.layouts import read_category
from edgekd.engines.base import EVERY_MAP, Engine, EngineSpec, Outputs
from edgekd.workflows.evaluation import AT_ONCE, Evaluation, evaluate_engine

SIDE = 32
MANIFEST = {
    "system": "hkt",
    "precision": "fp32",
    "sha256": "0" * 64,
    "file": "x.onnx",
    "trained": True,
    "iterations": 1,
    "threshold": {"value": 100.0, "origin": "the highest score of 10 held-out good images"},
}


class BlueChannel(Engine):
    """Answers with the blue channel, so that a test knows every figure."""

    def __init__(self, height: int = SIDE, width: int = SIDE) -> None:
        self.spec = EngineSpec("none", "0", "CPU", height, width, 1, 1)
        self._free = True

    def acquire(self, count: int = 1):
        if not self._free:
            return None
        self._free = False
        return np.empty((count, self.spec.height, self.spec.width, 3), np.uint8)

    def release(self, frames) -> None:
        self._free = True

    def submit(self, frames, maps_above: float = EVERY_MAP):
        return frames

    def collect(self, ticket) -> Outputs:
        self._free = True
        maps = ticket[..., 0].astype(np.float32)
        return Outputs(maps.max(axis=(1, 2)), maps)

    def close(self) -> None:
        pass


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


def image(*patches: tuple[slice, slice, int], side: int = SIDE) -> np.ndarray:
    made = np.zeros((side, side, 3), np.uint8)
    for rows, columns, value in patches:
        made[rows, columns] = value
    return made


def evaluated(folder: Path, engine: Engine | None = None, **changes: object) -> Evaluation:
    return evaluate_engine(engine or BlueChannel(), MANIFEST | changes, read_category(folder))


LEFT, RIGHT, TOP = slice(0, 8), slice(16, 24), slice(0, 8)


@pytest.fixture
def category(tmp_path: Path) -> Path:
    """Good ones score 0 and 50; the defect of one is at 200, that of the other at 40 beside a false alarm at 90."""
    write(tmp_path / "test/good/0.png", image())
    write(tmp_path / "test/good/1.png", image((TOP, LEFT, 50)))
    write(tmp_path / "test/crack/0.png", image((TOP, LEFT, 200)))
    write(tmp_path / "test/crack/1.png", image((TOP, LEFT, 40), (TOP, RIGHT, 90)))
    for name in ("0", "1"):
        write(tmp_path / f"ground_truth/crack/{name}_mask.png", image((TOP, LEFT, 255)))
    return tmp_path


def test_every_metric_is_there_by_its_name_and_has_the_value_worked_by_hand(category: Path) -> None:
    figures = evaluated(category).figures
    assert figures["image_auroc"] == figures["image_ap"] == 1
    # Patches are 64 pixels. From the highest: 64 defective at 200, 64 good at 90, 64 good at 50, 64 defective at 40,
    # the other 3,840 good ones at 0. Good pixels are 3,968.
    assert figures["pixel_auroc"] == pytest.approx((1 + 3840 / 3968) / 2)
    assert figures["pixel_ap"] == pytest.approx((1 + 2 / 4) / 2)
    # PRO: 1/2 up to the rate 128 / 3,968, there 1.
    upright = 128 / 3968
    assert figures["pro"] == pytest.approx((0.3 - upright / 2) / 0.3)
    # RD4AD: 1 in the first image. In the second every threshold below 90 has the rate 64 / 960, whether or not the
    # region is found there, so its curve is one upright line without an area.
    assert figures["pro_rd4ad"] == pytest.approx((1 + 0) / 2)
    # IAP: at 40, recall 1, 128 of 256; at 200, recall 1/2, 64 of 64.
    assert figures["iap"] == pytest.approx((1 / 2 + 1) / 2)
    assert figures["iap_at_90"] == pytest.approx(1 / 2)
    assert figures["empty_masks"] == 0
    assert "spro" not in figures


def test_figures_of_verdicts_name_their_threshold(category: Path) -> None:
    figures = evaluated(category).figures
    # At 100 one defect of two is found. The oracle's is the highest good score.
    assert figures["at_threshold"] == {
        "f1": pytest.approx(2 / 3),
        "accuracy": 0.75,
        "sensitivity": 0.5,
        "specificity": 1.0,
        "threshold": 100.0,
        "threshold_origin": "the highest score of 10 held-out good images",
    }
    assert figures["f1"] == figures["accuracy"] == figures["sensitivity"] == figures["specificity"] == 1
    assert figures["f1_threshold"] == 50
    assert figures["f1_threshold_origin"].startswith("oracle")
    assert figures["verdicts"] == {"OK": 3, "NG": 1, "ERROR": 0, "false_rejects": 0, "missed_defects": 1}


def test_without_a_threshold_only_the_oracle_is_reported(category: Path) -> None:
    evaluation = evaluated(category, threshold=None)
    assert evaluation.figures["at_threshold"] is None
    assert [metric.label for metric in evaluation.report.metrics if "F1" in metric.label] == ["F1, best"]


def test_without_masks_pixel_metrics_are_none(category: Path) -> None:
    for mask in (category / "ground_truth/crack").iterdir():
        mask.unlink()
    (category / "ground_truth/crack").rmdir()
    evaluation = evaluated(category)
    for name in ("pixel_auroc", "pixel_ap", "pro", "pro_rd4ad", "iap", "iap_at_90"):
        assert evaluation.figures[name] is None
    assert evaluation.figures["image_auroc"] == 1
    assert "PRO" not in {metric.label for metric in evaluation.report.metrics}


def test_a_defective_image_without_a_marked_pixel_is_left_out_of_the_pixel_metrics(category: Path) -> None:
    write(category / "ground_truth/crack/1_mask.png", image())
    evaluation = evaluated(category)
    assert evaluation.figures["empty_masks"] == 1
    # What is left: 64 defective pixels at 200, all good ones below. Image metrics still count it.
    assert evaluation.figures["pixel_auroc"] == evaluation.figures["pixel_ap"] == evaluation.figures["iap"] == 1
    assert evaluation.figures["test_defective"] == 2
    assert any("marks no pixel" in note for note in evaluation.report.notes)


def test_images_keep_their_order_over_several_rounds(category: Path) -> None:
    for number in range(2, 2 * AT_ONCE + 3):
        write(category / f"test/good/{number}.png", image((TOP, LEFT, number)))
    samples = evaluated(category).report.samples
    assert len(samples) == 2 * AT_ONCE + 5
    for sample in samples:
        number = int(Path(sample.name).stem)
        if not sample.defective and number >= 2:
            assert sample.score == number


def test_a_report_keeps_no_map_larger_than_it_shows(category: Path) -> None:
    samples = evaluated(category, BlueChannel(320, 480)).report.samples
    assert {sample.anomaly_map.shape for sample in samples} == {(171, 256)}
    assert {sample.mask.shape for sample in samples if sample.defective} == {(171, 256)}
    assert all(sample.mask.any() for sample in samples if sample.defective)


@pytest.fixture
def loco(tmp_path: Path) -> Path:
    """Each defect is an 8 x 8 patch at 64 pixels a side, saturated by half of it: 32 pixels."""
    rule = {"defect_name": "d", "pixel_value": 255, "saturation_threshold": 0.5, "relative_saturation": True}
    (tmp_path / "defects_config.json").write_text(json.dumps([rule]))
    half = slice(0, 4)
    write(tmp_path / "test/good/0.png", image((TOP, LEFT, 60), side=64))
    write(tmp_path / "test/logical_anomalies/0.png", image((half, LEFT, 200), side=64))
    write(tmp_path / "test/structural_anomalies/0.png", image((half, slice(0, 4), 50), side=64))
    for kind in ("logical", "structural"):
        write(tmp_path / f"ground_truth/{kind}_anomalies/0/000.png", image((TOP, LEFT, 255), side=64))
    return tmp_path


def test_loco_has_spro_by_kind_in_the_size_of_the_images(loco: Path) -> None:
    figures = evaluated(loco, BlueChannel(64, 64)).figures
    # Logical: 32 pixels are found before any false positive, which is full marks.
    assert figures["spro_logical"] == 1
    # Structural: 64 good pixels at 60 come first, of 64 * 64 * 2 - 64; then 16 of 32 pixels; then, in one step with
    # all good pixels, the other half. So 1/2 + (x - a) / (1 - a) / 2 from the rate a to 0.05, 0 before it.
    a = 64 / 8128
    rise = (0.05 - a) / (1 - a) / 2
    assert figures["spro_structural"] == pytest.approx((0.05 - a) * (0.5 + rise / 2) / 0.05)
    assert figures["spro"] == pytest.approx((figures["spro_logical"] + figures["spro_structural"]) / 2)
    assert figures["spro_to_0.01"] < figures["spro"] < figures["spro_to_0.3"]
    assert {"spro_to_0.1", "spro_to_1"} <= set(figures)


def test_loco_s_image_auroc_is_the_mean_of_both_kinds(loco: Path) -> None:
    # A good one at 60, and at 70; logical at 200, structural at 65 and 50: 2 of 2 pairs, and 1 of 4.
    write(loco / "test/good/1.png", image((TOP, LEFT, 70), side=64))
    write(loco / "test/structural_anomalies/1.png", image((TOP, LEFT, 65), side=64))
    write(loco / "ground_truth/structural_anomalies/1/000.png", image((TOP, LEFT, 255), side=64))
    figures = evaluated(loco, BlueChannel(64, 64)).figures
    assert figures["image_auroc_logical"] == 1
    assert figures["image_auroc_structural"] == 1 / 4
    assert figures["image_auroc"] == 5 / 8
    assert figures["image_auroc_pooled"] == 3 / 6


def test_loco_s_smaller_maps_are_resized_to_the_images(loco: Path) -> None:
    # The edge of the patch is blurred, and still all of its 32 pixels come before nearly all good ones.
    figures = evaluated(loco, BlueChannel(32, 32)).figures
    assert figures["spro_logical"] == pytest.approx(1, abs=0.01)
