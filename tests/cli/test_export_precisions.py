"""FP16 and INT8 by `edgekd export`: what is written, and what a wrong option costs."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgekd.workflows.good_limits as good_limits
from edgekd.artifact import read_manifest, sha256
from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.engines import open_engine
from edgekd.precisions import CALIBRATION_METHODS, PRECISIONS
from edgekd.run_folder import artifact_name

from ..conftest import copy_images
from ..run_command import main

INT8 = ["--precision", "int8", "--max-drift", "0.5"]


def refused(capsys, *words):
    """The one line that a command ends with, and its exit code."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    said = capsys.readouterr().err.strip().splitlines()
    return code, said[-1]


def test_each_precision_has_its_file_and_a_manifest_that_says_so(run):
    for precision in PRECISIONS:
        manifest = read_manifest(run / artifact_name("detector.onnx", precision))
        assert manifest["precision"] == precision
        assert manifest["threshold"]["value"] > 0
        assert manifest["parity"]["openvino"]["map"] < 1e-4


def test_the_int8_manifest_names_its_calibration_set_and_every_convolution(run):
    manifest = read_manifest(run / "detector_int8.onnx")
    chosen = run / manifest["calibration"]["set"]
    assert manifest["calibration"]["sha256"] == sha256(chosen)
    content = json.loads(chosen.read_text())
    assert len(content["images"]) == manifest["calibration"]["images"] == 32
    held_out = set(json.loads((run / "recipe.json").read_text())["held_out"])
    assert not held_out & set(content["images"])
    quantization = manifest["quantization"]
    assert len(quantization["layers_in_int8"]) + len(quantization["layers_in_float"]) == 8
    assert len(quantization["in_float_by_rule"]) == 6


def test_the_threshold_is_the_float_one_moved_as_scores_move(run):
    before, after = (read_manifest(run / f"{name}.onnx")["threshold"] for name in ("detector", "detector_int8"))
    assert after["value"] == pytest.approx(before["value"], rel=0.2)
    assert after["value"] != before["value"]
    assert "the median change of their scores" in after["origin"]


def test_an_int8_artifact_answers_on_both_engines(run, elpv_images):
    frames = np.stack([resize_image(read_image(elpv_images[300]), 64, 64)])
    scores = []
    for backend in ("onnxruntime", "openvino"):
        with open_engine(run / "detector_int8.onnx", backend) as engine:
            scores.append(float(engine.infer(frames).scores[0]))
    assert scores[0] == pytest.approx(scores[1], rel=0.05)


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


def test_one_image_is_no_calibration_set(run, elpv_images, tmp_path, capsys):
    copy_images(elpv_images[:1], tmp_path / "one", 64)
    code, line = refused(capsys, "export", run, "--precision", "int8", "--calibration", tmp_path / "one")
    assert code == 2
    assert "holds 1 good images to calibrate on: INT8 needs 8 at least" in line


def test_a_truncated_image_in_the_set_is_named(run, elpv_images, tmp_path, capsys):
    copies = copy_images(elpv_images[:12], tmp_path / "images", 64)
    copies[4].write_bytes(copies[4].read_bytes()[:200])
    code, line = refused(capsys, "export", run, "--precision", "int8", "--calibration", tmp_path / "images")
    assert code == 2
    assert copies[4].name in line


def test_images_that_look_defective_are_named_and_left_out(run, elpv_images, tmp_path, capsys):
    copies = copy_images(elpv_images[150:162], tmp_path / "images", 64)
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 2] = 255
    cv2.imwrite(str(copies[7]), red)
    output = tmp_path / "x_int8.onnx"
    words = ["export", run, "--precision", "int8", "--max-drift", "0.5", "--output", output]
    capsys.readouterr()
    assert main([str(word) for word in [*words, "--calibration", tmp_path / "images"]]) == 0
    assert f"look defective: {copies[7].name}" in capsys.readouterr().err
    content = json.loads((tmp_path / "x_int8.calibration.json").read_text())
    assert content["left_out"] == [copies[7].name]
    assert copies[7].name not in content["images"]


def test_a_drift_that_cannot_be_reached_is_answered_with_no_and_leaves_nothing(run, tmp_path, capsys):
    output = tmp_path / "x_int8.onnx"
    words = ["--precision", "int8", "--max-drift", "0", "--calibration-images", "8"]
    code, line = refused(capsys, "export", run, *words, "--output", output)
    assert code == 1
    assert "no INT8 graph drifts by 0 or less" in line
    assert not list(tmp_path.glob("x_int8*"))


def test_an_untrained_system_needs_real_images_to_be_calibrated(tmp_path, capsys):
    code, line = refused(
        capsys, "export", "hkt", "--size", "64", "--precision", "int8", "--output", tmp_path / "x.onnx"
    )
    assert code == 2
    assert "give a folder of good ones with --calibration" in line


def test_options_of_int8_are_refused_for_another_precision(run, capsys):
    code, line = refused(capsys, "export", run, "--precision", "fp16", "--max-drift", "0.1")
    assert code == 2
    assert "--max-drift needs --precision int8 or int8_fp16, got fp16" in line


def test_what_was_there_stays_when_an_export_ends_while_the_threshold_is_set(run, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(good_limits, "measure_images", interrupted)
    assert main(["export", str(folder), *INT8, "--calibration-images", "9"]) == 130
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_set_with_images_that_the_run_keeps_for_its_threshold_is_refused(run, tmp_path, capsys):
    content = json.loads((run / "detector_int8.calibration.json").read_text())
    held_out = json.loads((run / "recipe.json").read_text())["held_out"][0]
    content["images"][held_out] = sha256(Path(content["root"]) / held_out)
    (tmp_path / "set.json").write_text(json.dumps(content))
    code, line = refused(capsys, "export", run, *INT8, "--calibration", tmp_path / "set.json")
    assert code == 2
    assert "keeps for the threshold" in line


@pytest.mark.parametrize("option", ["--calibration-images", "--calibration-choice", "--calibration-seed"])
def test_how_to_choose_a_set_is_refused_beside_one(run, capsys, option):
    value = "random" if option.endswith("choice") else "9"
    code, line = refused(
        capsys, "export", run, *INT8, "--calibration", run / "detector_int8.calibration.json", option, value
    )
    assert code == 2
    assert f"{option} is to choose a set" in line


@pytest.mark.slow
def test_a_set_says_from_how_many_images_it_was_chosen(run, elpv_images, tmp_path, monkeypatch):
    monkeypatch.setattr("edgekd.workflows.calibrate.CANDIDATES", 12)
    copy_images(elpv_images[150:170], tmp_path / "images", 64)
    words = ["export", run, *INT8, "--output", tmp_path / "x_int8.onnx", "--calibration", tmp_path / "images"]
    assert main([str(word) for word in [*words, "--calibration-images", "14"]]) == 0
    content = json.loads((tmp_path / "x_int8.calibration.json").read_text())
    assert content["chosen_from"] == 20
    assert len(content["images"]) == 14 - len(content["left_out"])


@pytest.mark.slow
def test_a_graph_of_several_frames_is_quantized_by_every_method(run, tmp_path):
    for method in CALIBRATION_METHODS:
        output = tmp_path / f"{method}.onnx"
        words = ["export", run, *INT8, "--batch", "3", "--calibration-method", method, "--output", output]
        assert main([str(word) for word in words]) == 0


def test_layers_that_are_faster_in_float_are_left_and_named(run, tmp_path, capsys):
    output = tmp_path / "tuned_int8.onnx"
    assert main([str(word) for word in ["export", run, *INT8, "--tune", "--output", output]]) == 0
    quantization = read_manifest(output)["quantization"]
    faster = quantization["faster_in_float"]
    assert len(quantization["layers_in_int8"]) + len(quantization["layers_in_float"]) + len(faster) == 8
    assert quantization["noise"] <= 0.5
    said = capsys.readouterr().out
    assert f"layers timed on {quantization['tuned_on']}: " in said
    assert all(name in said for name in faster)
    with open_engine(output, "openvino") as engine:
        assert np.isfinite(engine.infer(np.zeros((1, 64, 64, 3), np.uint8)).scores).all()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8_fp16"])
def test_tuning_is_refused_where_no_int8_for_this_cpu_is_made(run, precision, capsys):
    code, line = refused(capsys, "export", run, "--precision", precision, "--tune")
    assert (code, line) == (
        2,
        f"edgekd: --tune needs --precision int8, got {precision}: it times layers in INT8 on this machine's CPU",
    )
