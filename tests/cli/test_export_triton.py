"""--triton DIR: what it writes at the end of an export, and what it refuses before the work."""

import json
import shutil

import pytest

import edgekd.workflows.export as export_module
from edgekd.artifact import manifest_path, read_json, sha256, write_json

from ..run_command import main


@pytest.fixture
def fails(capsys):
    """Runs an export that must fail; gives its one line."""

    def run(*words: object) -> str:
        assert main(["export", *(str(word) for word in words)]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-1].startswith("edgekd: ")
        return lines[-1]

    return run


@pytest.fixture
def artifact(exported, tmp_path):
    """A copy of the exported detector, in a run called part."""
    (tmp_path / "part").mkdir()
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / "part" / path.name)
    return tmp_path / "part" / exported.name


@pytest.fixture
def no_work(monkeypatch):
    """Any export that goes as far as the work fails the test."""

    def work(*arguments, **options):
        raise AssertionError("this was to be refused before the work")

    for name in ("_export_untrained", "_export_run"):
        monkeypatch.setattr(export_module, name, work)


def test_an_export_is_also_written_into_a_repository(trained_run, tmp_path, capsys):
    output, repository = tmp_path / "part.onnx", tmp_path / "models"
    words = ["export", trained_run, "--batch", "dynamic", "--output", output, "--triton", repository]
    assert main([str(word) for word in words]) == 0
    files = sorted(str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file())
    assert files == ["part/1/model.json", "part/1/model.onnx", "part/config.pbtxt"]
    assert sha256(repository / "part" / "1" / "model.onnx") == sha256(output)
    assert read_json(repository / "part" / "1" / "model.json") == read_json(manifest_path(output)) | {
        "file": "model.onnx"
    }
    assert f"tritonserver --model-repository={repository}" in capsys.readouterr().out
    assert main([str(word) for word in words]) == 0, "the same model may be written again"


def test_an_artifact_that_is_there_is_written_without_exporting_it_again(artifact, tmp_path, no_work):
    assert main(["export", str(artifact), "--triton", str(tmp_path / "models")]) == 0
    assert sha256(tmp_path / "models" / "part" / "1" / "model.onnx") == sha256(artifact)


def test_an_engine_bounds_the_batch(artifact, tmp_path, fails):
    engine = artifact.with_name("detector_tensorrt.engine")
    engine.write_bytes(b"engine")
    about = read_json(manifest_path(artifact))
    for tensor in (about["inputs"]["frames"], *about["outputs"].values()):
        tensor["shape"][0] = "batch"
    record = {"flavour": "tensorrt", "largest_batch": 4}
    write_json(manifest_path(engine), about | {"sha256": sha256(engine), "engine": record})
    line = fails(engine, "--triton", tmp_path / "models", "--triton-max-batch", 8)
    assert "is more than" in line
    assert "built for batches of 1 to 4" in line
    assert main(["export", str(engine), "--triton", str(tmp_path / "models")]) == 0
    assert "max_batch_size: 4" in (tmp_path / "models" / "part_tensorrt" / "config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--triton-backend", "tensorflow"], "unknown Triton back end 'tensorflow': did you mean tensorrt?"),
        (["--triton-device", "tpu"], "unknown Triton device 'tpu'"),
        (["--triton-backend", "tensorrt"], "loads engines, which are built on their GPU: run edgekd build"),
        (["--triton-backend", "openvino", "--triton-device", "gpu"], "openvino back end runs on the CPU"),
        (["--triton-max-batch", "4"], "takes batches of 1: leave it out, or export with --batch dynamic"),
        (["--batch", "dynamic", "--triton-backend", "openvino", "--triton-max-batch", "4"], "would pad every request"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_work(fails, tmp_path, no_work, options, expected):
    assert expected in fails("hkt", "--size", 64, "--triton", tmp_path / "models", *options)
    assert not (tmp_path / "models").exists()


def test_options_of_triton_without_a_repository_are_refused(fails, no_work):
    assert "--triton-backend needs --triton DIR" in fails("hkt", "--triton-backend", "openvino")


def test_a_repository_that_is_a_file_is_refused_before_the_work(fails, tmp_path, no_work):
    (tmp_path / "models").touch()
    assert f"--triton {tmp_path / 'models'} is a file" in fails("hkt", "--triton", tmp_path / "models")
    assert "is not a folder" in fails("hkt", "--triton", tmp_path / "models" / "deeper")


def test_a_repository_that_cannot_be_written_costs_one_line(fails, artifact):
    assert "cannot write /proc/models/part/" in fails(artifact, "--triton", "/proc/models")


def test_a_folder_of_that_name_that_is_no_model_is_left_alone(fails, artifact, tmp_path):
    (tmp_path / "models" / "part").mkdir(parents=True)
    (tmp_path / "models" / "part" / "notes.txt").write_text("mine")
    assert "exists and was not written by edgekd" in fails(artifact, "--triton", tmp_path / "models")
    assert [path.name for path in (tmp_path / "models" / "part").iterdir()] == ["notes.txt"]


def test_a_model_of_another_training_is_named_before_the_graph_is_built(fails, trained_run, artifact, tmp_path):
    assert main(["export", str(artifact), "--triton", str(tmp_path / "models")]) == 0
    there = tmp_path / "models" / "part" / "1" / "model.json"
    write_json(there, read_json(there) | {"made_from": {"student.safetensors": "another"}})
    output = tmp_path / "part.onnx"
    assert "holds another model" in fails(trained_run, "--output", output, "--triton", tmp_path / "models")
    assert not output.exists()


def test_a_file_needs_a_repository_and_no_option_of_an_export(fails, artifact, tmp_path):
    assert "is exported already: give --triton DIR" in fails(artifact)
    assert "--precision is for exporting" in fails(artifact, "--triton", tmp_path / "models", "--precision", "int8")
    assert "--batch is for exporting" in fails(artifact, "--triton", tmp_path / "models", "--batch", "dynamic")
    (tmp_path / "image.png").touch()
    assert "name a system, the folder of a run" in fails(tmp_path / "image.png", "--triton", tmp_path / "models")


def test_a_damaged_artifact_is_not_served(fails, artifact, tmp_path):
    with artifact.open("ab") as file:
        file.write(b"x")
    assert "its SHA-256 differs" in fails(artifact, "--triton", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_the_manifest_is_json_that_names_its_file(artifact, tmp_path):
    assert main(["export", str(artifact), "--triton", str(tmp_path / "models")]) == 0
    there = json.loads((tmp_path / "models" / "part" / "1" / "model.json").read_text())
    assert (there["file"], there["threshold"]["value"]) == (
        "model.onnx",
        read_json(manifest_path(artifact))["threshold"]["value"],
    )
