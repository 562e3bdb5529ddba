"""`edgekd.evaluate` as a function: what it takes, what it gives, what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from edgekd.artifact import find_artifact, manifest_path
from edgekd.errors import ArtifactError, EdgekdError, MachineError
from edgekd.run_folder import DETECTOR_FILE, artifact_name
from edgekd.workflows.evaluate import evaluate, result_of


def copied(artifact: Path, to: Path) -> Path:
    """An artifact with its manifest, under another name."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(artifact, to)
    content = json.loads(manifest_path(artifact).read_text())
    manifest_path(to).write_text(json.dumps(content | {"file": to.name}))
    return to


def test_metrics_are_attributes_and_progress_counts_every_image(exported: Path, category: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    result = evaluate(
        str(exported.parent),
        data=str(category),
        backend="openvino",
        progress=lambda step, done, total=None, loss=None: calls.append((step, done, total)),
    )
    assert calls == [("evaluating 12 images", done, 12) for done in range(1, 13)]
    assert (result.test_good, result.test_defective) == (6, 6)
    assert 0 <= result.image_auroc <= 1
    assert result.pixel_auroc is not None
    assert result.verdicts is not None
    assert result.verdicts["OK"] + result.verdicts["NG"] == 12
    assert result.by_kind == {}
    assert result.to_dict()["image_auroc"] == result.image_auroc
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_metrics_without_a_field_are_by_kind_and_stand_beside_the_others_in_json(
    exported: Path, category: Path
) -> None:
    plain = evaluate(exported, data=category, backend="openvino").to_dict()
    loco = plain | {"image_auroc_logical": 0.5, "spro_to_0.1": 0.25}
    result = result_of(loco)
    assert result.by_kind == {"image_auroc_logical": 0.5, "spro_to_0.1": 0.25}
    assert result.to_dict() == loco


def test_a_report_is_written_and_a_place_that_cannot_be_written_is_refused_first(
    exported: Path, category: Path, tmp_path: Path
) -> None:
    page = tmp_path / "reports" / "page.html"
    result = evaluate(exported, data=category, backend="openvino", html=page)
    assert f"{result.image_auroc:.4f}" in page.read_text()
    with pytest.raises(EdgekdError, match="it is a folder, give the name of a file"):
        evaluate(exported, data=category, html=tmp_path)
    with pytest.raises(EdgekdError, match="belongs to the artifact that is measured"):
        evaluate(exported, data=category, html=exported)


def test_a_damaged_test_image_stops_the_evaluation(exported: Path, category: Path) -> None:
    victim = min((category / "test" / "good").iterdir())
    victim.write_bytes(victim.read_bytes()[:-200])
    with pytest.raises(EdgekdError, match=f"the evaluation stopped: .*{victim.name} is cut off"):
        evaluate(exported, data=category, backend="openvino")


def test_a_run_means_its_float32_artifact_or_else_its_only_one(exported: Path, tmp_path: Path) -> None:
    run = tmp_path / "my run"
    run.mkdir()
    with pytest.raises(ArtifactError, match=r"holds no detector\.onnx: make one with edgekd export '.*my run'"):
        find_artifact(run)
    int8 = copied(exported, run / artifact_name(DETECTOR_FILE, "int8"))
    assert find_artifact(run) == int8
    copied(exported, run / artifact_name(DETECTOR_FILE, "fp16"))
    with pytest.raises(ArtifactError, match=r"holds detector_fp16\.onnx and detector_int8\.onnx: name one of them"):
        find_artifact(run)
    copied(exported, run / DETECTOR_FILE)
    assert find_artifact(run) == run / DETECTOR_FILE
    assert find_artifact(int8) == int8


def test_a_run_that_was_trained_on_since_its_export_is_refused(exported: Path, tmp_path: Path) -> None:
    copied(exported, tmp_path / DETECTOR_FILE)
    made_from = json.loads(manifest_path(exported).read_text())["made_from"]
    name = next(name for name, digest in made_from.items() if isinstance(digest, str))
    (tmp_path / name).write_bytes(b"another")
    with pytest.raises(ArtifactError, match="export it again, or delete it"):
        find_artifact(tmp_path)


def test_a_missing_scikit_learn_is_reported_before_an_image_is_evaluated(exported, category, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    steps: list[str] = []
    with pytest.raises(MachineError, match=r"edgekd\[evaluate\]"):
        evaluate(exported, data=category, progress=lambda step, *counts: steps.append(step))
    assert steps == []
