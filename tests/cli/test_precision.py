"""FP16 and INT8 by the command line: what is made, and what a user who gets it wrong is told."""

import json
import shutil

import cv2
import numpy as np
import pytest

from edgekd.artifact import read_manifest, sha256
from edgekd.cli.main import main
from edgekd.data.pictures import read_picture, resize_picture
from edgekd.engines import open_engine

from ..conftest import copy_pictures

INT8 = ["--precision", "int8", "--max-drift", "0.5"]


@pytest.fixture(scope="module")
def run(trained_run, tmp_path_factory):
    """A copy of the trained run, with its artifacts in all three precisions."""
    folder = tmp_path_factory.mktemp("precisions") / "run"
    shutil.copytree(trained_run, folder)
    for words in ([], ["--precision", "fp16"], INT8):
        assert main(["export", str(folder), *words]) == 0
    return folder


def refused(capsys, *words):
    """The one line that a command ends with, and its exit code."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    said = capsys.readouterr().err.strip().splitlines()
    return code, said[-1]


def test_each_precision_has_its_file_and_a_manifest_that_says_so(run):
    for name, precision in (("detector", "fp32"), ("detector_fp16", "fp16"), ("detector_int8", "int8")):
        manifest = read_manifest(run / f"{name}.onnx")
        assert manifest["precision"] == precision
        assert manifest["threshold"]["value"] > 0
        assert manifest["parity"]["openvino"]["map"] < 1e-4


def test_the_int8_manifest_names_its_calibration_set_and_every_convolution(run):
    manifest = read_manifest(run / "detector_int8.onnx")
    chosen = run / manifest["calibration"]["set"]
    assert manifest["calibration"]["sha256"] == sha256(chosen)
    content = json.loads(chosen.read_text())
    assert len(content["pictures"]) == manifest["calibration"]["pictures"] == 32
    held_out = set(json.loads((run / "recipe.json").read_text())["held_out"])
    assert not held_out & set(content["pictures"])
    quantization = manifest["quantization"]
    assert len(quantization["layers_in_int8"]) + len(quantization["layers_in_float"]) == 8
    assert len(quantization["in_float_by_rule"]) == 6


def test_the_threshold_is_the_float_one_moved_as_scores_move(run):
    before, after = (read_manifest(run / f"{name}.onnx")["threshold"] for name in ("detector", "detector_int8"))
    assert after["value"] == pytest.approx(before["value"], rel=0.2)
    assert after["value"] != before["value"]
    assert "the median change of their scores" in after["origin"]


def test_an_int8_artifact_answers_on_both_engines(run, elpv_pictures):
    frames = np.stack([resize_picture(read_picture(elpv_pictures[300]), 64, 64)])
    scores = []
    for backend in ("onnxruntime", "openvino"):
        with open_engine(run / "detector_int8.onnx", backend) as engine:
            scores.append(float(engine.infer(frames).scores[0]))
    assert scores[0] == pytest.approx(scores[1], rel=0.05)


def test_the_drift_report_goes_into_every_manifest(run, category, tmp_path, capsys):
    assert main(["drift", str(run), "--data", str(category), "--json", str(tmp_path / "drift.json")]) == 0
    rows = json.loads((tmp_path / "drift.json").read_text())["rows"]
    named = [(row["precision"], row["backend"]) for row in rows]
    engines = ("onnxruntime", "openvino")
    assert named == [
        ("fp32", "torch"),
        *((precision, engine) for precision in ("fp32", "fp16", "int8") for engine in engines),
    ]
    noise = {name: row["noise"] for name, row in zip(named, rows, strict=True)}
    assert noise["fp32", "torch"] == 0
    assert noise["fp32", "openvino"] < noise["fp16", "openvino"] < noise["int8", "openvino"] < 0.5
    assert all(0 <= row["image_auroc"] <= 1 and row["verdict_flips"] <= 12 for row in rows)
    drift = read_manifest(run / "detector_int8.onnx")["drift"]
    assert [row["precision"] for row in drift["rows"]] == ["int8", "int8"]
    assert drift["pictures"] == 12
    assert "flips" in capsys.readouterr().out


def test_a_set_that_was_written_can_be_given_again(run, tmp_path):
    output = tmp_path / "again_int8.onnx"
    words = ["export", run, "--precision", "int8", "--max-drift", "0.5", "--output", output]
    assert main([str(word) for word in [*words, "--calibration", run / "detector_int8.calibration.json"]]) == 0
    again, before = read_manifest(output), read_manifest(run / "detector_int8.onnx")
    assert again["quantization"]["scales"] == before["quantization"]["scales"]


def test_an_empty_folder_is_no_calibration_set(run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    code, line = refused(capsys, "export", run, "--precision", "int8", "--calibration", tmp_path / "empty")
    assert code == 2
    assert "empty" in line


def test_one_picture_is_no_calibration_set(run, elpv_pictures, tmp_path, capsys):
    copy_pictures(elpv_pictures[:1], tmp_path / "one", 64)
    code, line = refused(capsys, "export", run, "--precision", "int8", "--calibration", tmp_path / "one")
    assert code == 2
    assert "holds 1 good pictures to calibrate on: INT8 needs 8 at least" in line


def test_a_truncated_picture_in_the_set_is_named(run, elpv_pictures, tmp_path, capsys):
    copies = copy_pictures(elpv_pictures[:12], tmp_path / "pictures", 64)
    copies[4].write_bytes(copies[4].read_bytes()[:200])
    code, line = refused(capsys, "export", run, "--precision", "int8", "--calibration", tmp_path / "pictures")
    assert code == 2
    assert copies[4].name in line


def test_pictures_that_look_defective_are_named_and_left_out(run, elpv_pictures, tmp_path, capsys):
    copies = copy_pictures(elpv_pictures[150:170], tmp_path / "pictures", 64)
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 2] = 255
    cv2.imwrite(str(copies[7]), red)
    output = tmp_path / "x_int8.onnx"
    words = ["export", run, "--precision", "int8", "--max-drift", "0.5", "--output", output]
    capsys.readouterr()
    assert main([str(word) for word in [*words, "--calibration", tmp_path / "pictures"]]) == 0
    assert f"look defective: {copies[7].name}" in capsys.readouterr().err
    content = json.loads((tmp_path / "x_int8.calibration.json").read_text())
    assert content["left_out"] == [copies[7].name]
    assert copies[7].name not in content["pictures"]


def test_a_drift_that_cannot_be_reached_is_answered_with_no_and_leaves_nothing(run, tmp_path, capsys):
    output = tmp_path / "x_int8.onnx"
    code, line = refused(capsys, "export", run, "--precision", "int8", "--max-drift", "0", "--output", output)
    assert code == 1
    assert "no INT8 graph drifts by 0 or less" in line
    assert not list(tmp_path.glob("x_int8*"))


def test_an_untrained_system_needs_real_pictures_to_be_calibrated(tmp_path, capsys):
    code, line = refused(
        capsys, "export", "hkt", "--size", "64", "--precision", "int8", "--output", tmp_path / "x.onnx"
    )
    assert code == 2
    assert "--calibration names a folder" in line


def test_options_of_int8_are_refused_for_another_precision(run, capsys):
    code, line = refused(capsys, "export", run, "--precision", "fp16", "--max-drift", "0.1")
    assert code == 2
    assert "--max-drift is for --precision int8" in line


def test_drift_without_artifacts_says_what_to_do(trained_run, category, tmp_path, capsys):
    bare = tmp_path / "run"
    shutil.copytree(trained_run, bare, ignore=shutil.ignore_patterns("detector*"))
    code, line = refused(capsys, "drift", bare, "--data", category)
    assert code == 2
    assert "edgekd export" in line
