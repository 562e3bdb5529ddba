"""When an engine has to be built again. OpenVINO builds here; TensorRT for RTX stands in for the standard TensorRT."""

import re
import shutil

import pytest

import edgekd.engines.compiling as compiling
import edgekd.engines.rebuilding as rebuilding
from edgekd.artifact import manifest_path, read_manifest, write_manifest
from edgekd.engines.build_plan import BuildChoices, plan_build
from edgekd.engines.compiling import build
from edgekd.engines.cuda.driver import Device
from edgekd.engines.rebuilding import reason_to_build
from edgekd.engines.tensorrt.flavours import Flavour
from edgekd.errors import EdgekdError, MachineError

from .cuda.recording_driver import RecordingDriver


@pytest.fixture
def graph(exported, tmp_path):
    """A copy of the exported detector, alone in its folder."""
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / exported.name


def plan_of(graph, **choices):
    return plan_build(graph, BuildChoices(**{"backend": "openvino"} | choices))


def change_record(engine, **changes):
    manifest = read_manifest(engine)
    manifest["engine"] |= changes
    write_manifest(engine, manifest)


def damage(path):
    path.write_bytes(path.read_bytes()[:-1])


CHANGES = {
    "missing": (lambda engine: engine.unlink(), "there is no .*detector_openvino.engine yet"),
    "damaged": (damage, "its SHA-256 differs"),
    "without manifest": (lambda engine: manifest_path(engine).unlink(), "has no manifest"),
    "damaged manifest": (lambda engine: manifest_path(engine).write_text("{"), "is not valid JSON"),
    "manifest of a graph": (
        lambda engine: write_manifest(engine, read_manifest(engine) | {"engine": None}),
        "does not record how it was built",
    ),
    "foreign manifest": (lambda engine: write_manifest(engine, {}), "system is missing; export the run again"),
    "version": (lambda engine: change_record(engine, version="2024.0"), "with version 2024.0, and now it is 20"),
    "back end": (lambda engine: change_record(engine, flavour="tensorrt"), "back end tensorrt, and now it is openvino"),
    "option": (lambda engine: change_record(engine, opt_batch=4), "with opt batch 4, and now it is 1"),
    "graph": (lambda engine: change_record(engine, onnx_sha256="0" * 64), "from another graph than .*onnx is now"),
    "processor": (lambda engine: change_record(engine, device={"name": "6502"}), "built on 6502, and this processor"),
}


@pytest.fixture(scope="module")
def built(exported, tmp_path_factory):
    """A folder with a graph and its engine of OpenVINO. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("built")
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, folder / path.name)
    build(plan_of(folder / exported.name))
    return folder


@pytest.mark.parametrize("change", CHANGES)
def test_an_engine_is_built_again_where_it_does_not_fit(built, tmp_path, change):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    plan = plan_of(tmp_path / "detector.onnx")
    assert reason_to_build(plan) is None
    alter, reason = CHANGES[change]
    alter(plan.output)
    found = reason_to_build(plan)
    assert re.search(reason, found)
    assert "\n" not in found


def test_another_threshold_needs_another_engine_and_a_report_of_drift_does_not(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    graph = tmp_path / "detector.onnx"
    manifest = read_manifest(graph)
    write_manifest(graph, manifest | {"drift": {"rows": []}})
    assert reason_to_build(plan_of(graph)) is None
    write_manifest(graph, manifest | {"threshold": manifest["threshold"] | {"value": 7.0}})
    assert "has another threshold than" in reason_to_build(plan_of(graph))


def test_an_engine_whose_threshold_was_set_since_needs_no_other_engine(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    graph = tmp_path / "detector.onnx"
    engine = plan_of(graph).output
    manifest = read_manifest(engine)
    earlier = {name: value for name, value in manifest["threshold"].items() if name != "history"}
    write_manifest(engine, manifest | {"threshold": earlier | {"value": 7.0, "history": [earlier]}})
    assert reason_to_build(plan_of(graph)) is None


@pytest.fixture
def gpu(monkeypatch):
    """Sets the GPU and the version of a standard TensorRT; TensorRT for RTX stands in for it and builds on the CPU."""
    trt = pytest.importorskip("tensorrt_rtx")
    asked = []

    def set_gpu(name="NVIDIA RTX A4000", capability="8.6", version="10.13.3.9"):
        driver = RecordingDriver()
        driver.device = Device(name, capability, "13.0", 1 << 33)
        monkeypatch.setattr(compiling, "open_driver", lambda index: (asked.append(index), driver)[1])
        for module in (compiling, rebuilding):
            monkeypatch.setattr(module, "load_flavour", lambda flavour: Flavour(flavour, version, trt))
        return asked

    return set_gpu


def test_a_standard_engine_is_built_again_on_another_gpu_or_by_another_version(graph, gpu):
    gpu()
    plan = plan_of(graph, backend="tensorrt")
    record = build(plan)["engine"]
    assert record["device"]["name"] == "NVIDIA RTX A4000"
    assert (record["hardware_compatibility"], record["user_allocation"], record["portable"]) == ("none", False, False)
    assert record["compute_capabilities"] == ["8.6"]
    assert reason_to_build(plan) is None
    gpu("NVIDIA RTX A6000")
    assert "was built on NVIDIA RTX A4000 and this GPU is NVIDIA RTX A6000" in reason_to_build(plan)
    gpu(capability="8.9")
    assert "is for compute capability 8.6 and this GPU has 8.9" in reason_to_build(plan)
    gpu(version="11.4.0")  # JetPack was updated.
    assert "was built with version 10.13.3.9, and now it is 11.4.0" in reason_to_build(plan)
    build(plan)
    assert reason_to_build(plan) is None


def test_hardware_compatibility_is_recorded_and_another_level_is_another_engine(graph, gpu):
    gpu()
    plan = plan_of(graph, backend="tensorrt", hardware_compatibility="ampere-plus")
    manifest = build(plan)
    assert manifest["engine"]["hardware_compatibility"] == "ampere-plus"
    assert "--hardware-compatibility ampere-plus" in manifest["engine"]["command"]
    gpu("NVIDIA GeForce RTX 4090", "8.9")
    assert reason_to_build(plan) is None
    other = plan_of(graph, backend="tensorrt")
    assert "with hardware compatibility ampere-plus, and now it is none" in reason_to_build(other)


def test_ampere_plus_is_refused_before_ampere(graph, gpu):
    gpu("NVIDIA T4", "7.5")
    with pytest.raises(
        EdgekdError, match=r"needs a GPU of compute capability 8\.0 or later to build on, and NVIDIA T4"
    ):
        build(plan_of(graph, backend="tensorrt", hardware_compatibility="ampere-plus"))


def test_the_gpu_that_is_named_builds_and_is_looked_at(graph, gpu):
    asked = gpu()
    plan = plan_of(graph, backend="tensorrt", device="cuda:1")
    assert "--device cuda:1" in build(plan)["engine"]["command"]
    assert reason_to_build(plan) is None
    assert asked == [1, 1]


def test_without_a_gpu_a_standard_engine_cannot_be_looked_at(graph, gpu, monkeypatch):
    gpu()
    plan = plan_of(graph, backend="tensorrt")
    build(plan)

    def refuse(index):
        raise MachineError("no NVIDIA GPU answers")

    monkeypatch.setattr(compiling, "open_driver", refuse)
    with pytest.raises(MachineError, match="no NVIDIA GPU answers"):
        reason_to_build(plan)


def test_an_engine_for_ampere_and_later_of_an_earlier_edgekd_is_built_again(graph):
    pytest.importorskip("tensorrt_rtx")
    plan = plan_of(graph, backend="tensorrt-rtx")
    build(plan)
    assert reason_to_build(plan) is None
    manifest = read_manifest(plan.output)
    del manifest["engine"]["user_allocation"]
    write_manifest(plan.output, manifest)
    assert "did not record its user allocation" in reason_to_build(plan)
    change_record(plan.output, user_allocation=True, compute_capabilities=["8.6"])
    assert "with compute capabilities 8.6, and now it is 8.0, 8.6, 8.9, 12.0, 12.1" in reason_to_build(plan)
