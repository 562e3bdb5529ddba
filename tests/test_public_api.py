"""The public API: what `import edgekd` offers, what it loads, and the Python of the design, run."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgekd

HEAVY = {"torch", "onnx", "openvino", "onnxruntime", "numpy", "cv2", "polars", "typer", "rich"}
VERBS = ("bench", "benchmark", "build", "choose", "distill", "drift", "evaluate", "export", "log", "threshold", "train")


def modules_after(code: str) -> set[str]:
    """The names of all modules that a new Python has loaded after some code."""
    code = f"{code}\nimport sys\nprint(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return set(printed.split())


def test_importing_edgekd_loads_nothing_heavy():
    assert not modules_after("import edgekd; dir(edgekd)") & HEAVY


@pytest.mark.parametrize(("given", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_torch_sleep_while_they_wait_unless_the_environment_says_otherwise(given, used):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    command = [sys.executable, "-c", "import edgekd, os; print(os.environ['OMP_WAIT_POLICY'])"]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == used


@pytest.mark.parametrize(
    "name", ["evaluate", "bench", "log", "threshold", "Inspector", "open_engine", "AnomalyResult", "Verdict"]
)
def test_what_a_station_uses_loads_neither_torch_nor_onnx(name):
    assert not modules_after(f"import edgekd; edgekd.{name}") & {"torch", "onnx", "onnxscript", "safetensors"}


@pytest.mark.parametrize("name", edgekd.__all__)
def test_each_name_is_there_and_listed(name):
    assert name in dir(edgekd)
    assert getattr(edgekd, name) is getattr(edgekd, name)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_a_function_with_named_options_and_a_docstring(verb):
    function = getattr(edgekd, verb)
    assert function.__name__ == verb
    assert function.__doc__
    parameters = inspect.signature(function).parameters.values()
    assert not any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'edgekd' has no attribute 'tran'"):
        edgekd.tran  # noqa: B018


def test_the_packages_are_modules():
    assert edgekd.models.__name__ == "edgekd.models"
    assert edgekd.papers.__name__ == "edgekd.papers"


@pytest.mark.usefixtures("short_looks")
def test_the_python_of_the_design(elpv_images: list[Path], category: Path, tiny_teacher: Path, tmp_path: Path):
    data, folder = tmp_path / "good", tmp_path / "part"
    data.mkdir()
    for number, path in enumerate(elpv_images[:110]):
        cv2.imwrite(str(data / f"{number:03}.png"), cv2.resize(cv2.imread(str(path)), (96, 96)))
    run = edgekd.train("hkt", data=data, run=folder, teacher=str(tiny_teacher), size=64, batch=2, iterations=4)
    assert run.to_dict()
    artifact = edgekd.export(folder, precision="int8", calibration_images=8)
    assert artifact.artifact == folder / "detector_int8.onnx"

    image = cv2.resize(cv2.imread(str(elpv_images[150])), (96, 96))
    with edgekd.Inspector(folder / "detector_int8.onnx") as inspector:
        result = inspector(image)
        assert isinstance(result, edgekd.AnomalyResult)
        assert result.verdict in (edgekd.Verdict.OK, edgekd.Verdict.NG)
        assert np.isfinite(result.score)
        assert result.anomaly_map is not None
        assert inspector(image[..., 0]).verdict is not edgekd.Verdict.ERROR
        answers = list(inspector.stream(category / "test"))
        assert len(answers) == 12
        assert all(answer.result.error is None for answer in answers)

    evaluation = edgekd.evaluate(folder, data=category)
    assert 0 <= evaluation.image_auroc <= 1
    assert evaluation.precision == "int8"
    figures = edgekd.bench(folder / "detector_int8.onnx", duration=0.1)
    assert figures.latency_ms["end_to_end"]["median"] > 0
    with edgekd.open_engine(str(folder / "detector_int8.onnx")) as engine:
        assert engine.spec.height == 64
