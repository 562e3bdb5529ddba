import json

import pytest

from edgekd.artifact import manifest_path, read_entries, read_manifest, write_manifest
from edgekd.errors import ArtifactError
from edgekd.preprocessing import preprocessing_of
from edgekd.runner import Inspector
from edgekd.verdicts.limits import limits_of

NONE = object()


@pytest.fixture(scope="module")
def content(exported):
    return json.loads(manifest_path(exported).read_text())


def changed(content, place, value):
    """A copy with another value at a place; without it where the value is NONE."""
    content = json.loads(json.dumps(content))
    holder = content
    for step in place[:-1]:
        holder = holder[step]
    if value is NONE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return content


WRONG = {
    "threshold.value must be a finite number, got 'high'": (["threshold", "value"], "high"),
    "threshold.value is missing": (["threshold", "value"], NONE),
    "threshold.bound must be at most 1.0, got 1.5": (["threshold", "bound"], 1.5),
    "threshold.limits[0].value must be a finite number, got null": (["threshold", "limits", 0, "value"], None),
    "threshold must hold expected, above and good_images beside bound": (["threshold", "above"], None),
    "trained must be true or false, got 1": (["trained"], 1),
    "macs must be at least 0, got -1": (["macs"], -1),
    "sha256 must be a SHA-256, 64 hexadecimal digits in lower case, got 'f00'": (["sha256"], "f00"),
    "made_from.recipe.json must be a SHA-256, 64 hexadecimal digits": (["made_from", "recipe.json"], "A" * 64),
    "made_from.../../x must be the name of a file, without a folder": (["made_from", "../../x"], "0" * 64),
    "file must be the name of a file, without a folder, got '/etc/passwd'": (["file"], "/etc/passwd"),
    "file must be the name of a file, without a folder, got 'a/b.onnx'": (["file"], "a/b.onnx"),
    "calibration.set must be the name of a file, without a folder, got '../../set.json'": (
        ["calibration"],
        {"set": "../../set.json", "sha256": "0" * 64, "images": 8, "choice": "random", "method": "min-max"},
    ),
    "system must be one of hkt, hkt_plus,": (["system"], "padim"),
    "precision must be one of fp32, fp16, int8, int8_fp16, got 'int4'": (["precision"], "int4"),
    "inputs.frames.dtype must be 'uint8', got 'float32'": (["inputs", "frames", "dtype"], "float32"),
    "inputs.frames.shape[3] must be 3, got 4": (["inputs", "frames", "shape", 3], 4),
    "inputs.frames.shape must be less than 2 GiB": (["inputs", "frames", "shape"], [2**20, 64, 64, 3]),
    "outputs.score.shape must be [1], as inputs.frames.shape begins": (["outputs", "score", "shape"], [4]),
    "outputs.anomaly_map.shape must be [1, 64, 64], as": (["outputs", "anomaly_map", "shape"], [1, 64, 32]),
    "inputs.frames.shape begins with 1, and view.tiles needs a multiple of 4": (["view"], {"tiles": [2, 2]}),
    "view.overlap must be a finite number, got 'half'": (["view", "overlap"], "half"),
    "the overlap must be a share of a tile from 0 to 0.5, got 0.9": (["view", "overlap"], 0.9),
    "view.align.reference must be a PNG of at most 256 pixels a side": (
        ["view", "align"],
        # A PNG that claims 65,535 x 65,535 pixels.
        {"reference": "iVBORw0KGgoAAAANSUhEUgAA//8AAP//CAAAAAA=", "max_shift": 1.0, "max_rotation": 0.0},
    ),
    "good_scores.quantiles must be pairs of a share and the value there, both rising": (
        ["good_scores"],
        {"count": 9, "quantiles": [[0.0, 2.0], [0.5, 1.0]]},
    ),
    "image_checks.size must hold the lower limit of width first, got 9 and 1": (
        ["image_checks"],
        {"size": {"on": True, "width": [9, 1], "height": [1, 9], "shape": [1, 1]}},
    ),
    "image_checks.dark must hold good, or be switched off by 'on': false": (["image_checks"], {"dark": {"least": 3}}),
    "bit_depth must be at most 16, got 32": (["bit_depth"], 32),
    "teachers[0].sha256 is missing": (["teachers", 0, "sha256"], NONE),
    "engine.command must be a command that begins with edgekd build, got 'rm -rf /'": (
        ["engine"],
        {"command": "rm -rf /"},
    ),
    "engine.onnx must be the name of a file, without a folder, got '/x.onnx'": (["engine"], {"onnx": "/x.onnx"}),
    "engine.largest_batch must be at least 1, got 0": (["engine"], {"largest_batch": 0}),
    "iterations is missing, and trained is true": (["iterations"], None),
    "training.initialisation must be one of random, images, got 'zeros'": (["training", "initialisation"], "zeros"),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_a_wrong_entry_is_named_with_its_file_and_what_to_do(content, tmp_path, complaint):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(changed(content, *WRONG[complaint])))
    with pytest.raises(ArtifactError) as caught:
        read_entries(path)
    assert str(caught.value).startswith(f"{path}: {complaint}")
    assert str(caught.value).endswith("; export the run again")


def test_the_command_that_builds_an_engine_again_is_named_and_quoted(content, tmp_path):
    path = tmp_path / "x.json"
    engine = {"command": "edgekd build 'line 2/x.onnx' --output '$(reboot)'", "version": 7}
    path.write_text(json.dumps(content | {"engine": engine}))
    with pytest.raises(ArtifactError, match=r"engine\.version must be text, got 7; build it again with") as caught:
        read_entries(path)
    assert str(caught.value).endswith("edgekd build 'line 2/x.onnx' --output '$(reboot)'")


# As the first edgekd whose thresholds had these names wrote it: no view, no rules of resizing, no image checks, no
# promise. Files like it are on stations; they are read as long as their format version is.
FIRST = {
    "format_version": 1,
    "system": "hkt",
    "precision": "fp32",
    "inputs": {"frames": {"dtype": "uint8", "shape": [1, 64, 64, 3], "layout": "NHWC, BGR"}},
    "outputs": {
        "score": {"dtype": "float32", "shape": [1]},
        "anomaly_map": {"dtype": "float32", "shape": [1, 64, 64]},
    },
    "trained": True,
    "made_from": dict.fromkeys(("recipe.json", "student.safetensors", "teacher.safetensors"), "0" * 64),
    "iterations": 20,
    "teacher": {"name": "pdn_small", "sha256": "1" * 64},
    "calibration": None,
    "threshold": {
        "value": 5.0,
        "false_reject_rate": 0.01,
        "good_pictures": 11,
        "origin": "the highest score of 11 held-out good pictures",
    },
    "parity_pictures": "held-out good pictures of the run",
    "macs": 2722457782,
    "operators": ["Add", "Conv"],
    "tools": {"edgekd": "0.1.0", "torch": "2.8.0", "onnx": "1.17.0"},
    "parity": {"onnxruntime": {"map": 1e-6, "score": 1e-7}},
}


def test_an_artifact_of_the_first_version_is_read_and_judges(exported, elpv_images, tmp_path):
    artifact = tmp_path / "old.onnx"
    artifact.write_bytes(exported.read_bytes())
    write_manifest(artifact, FIRST)
    manifest = read_manifest(artifact)
    assert limits_of(manifest).threshold == 5.0
    assert preprocessing_of(manifest).resize == "area"
    with Inspector(artifact, backend="onnxruntime", threads=1) as inspector:
        assert inspector(elpv_images[0]).verdict.value in ("OK", "NG")


def test_what_a_later_edgekd_wrote_besides_is_left_alone_and_kept(exported, content, tmp_path):
    artifact = tmp_path / "x.onnx"
    artifact.write_bytes(exported.read_bytes())
    later = content | {"colour": {"of": "the lamp"}, "threshold": content["threshold"] | {"season": 4}}
    write_manifest(artifact, later)
    assert read_manifest(artifact)["colour"] == {"of": "the lamp"}
    assert read_manifest(artifact)["threshold"]["season"] == 4
