"""What is refused before TensorRT sees it; and which TensorRT is taken."""

import importlib
import shlex
import sys
from pathlib import Path

import pytest

import edgekd.engines.tensorrt.flavours as flavours
from edgekd.engines.tensorrt.checks import capabilities_text, needs_gpu, refuse_other_version, refuse_unfit
from edgekd.engines.tensorrt.flavours import Flavour, checked_capabilities, default_flavour, load_flavour
from edgekd.errors import ArtifactError, EdgekdError, MachineError

PATH = Path("line 2/detector_sm86.engine")
RTX = Flavour("tensorrt-rtx", "1.7.1.116", None)
STANDARD = Flavour("tensorrt", "10.3.0", None)


PORTABLE = ["8.0", "8.6", "8.9", "12.0", "12.1"]
A4000, A6000 = "NVIDIA RTX A4000", "NVIDIA RTX A6000"  # Two models of the same compute capability.


def manifest_of(flavour: Flavour, *capabilities: str, built_on: str | None = None, **more: str) -> dict[str, object]:
    return {
        "engine": {
            "flavour": flavour.name,
            "version": flavour.version,
            "compute_capabilities": list(capabilities),
            "onnx": "detector.onnx",
            "command": f"edgekd build detector.onnx --backend {flavour.name}",
            "device": None if built_on is None else {"name": built_on, "capability": capabilities[0]},
            **more,
        }
    }


def refusal(manifest: dict[str, object], flavour: Flavour, capability: str, gpu_name: str = A4000) -> str:
    with pytest.raises(ArtifactError) as caught:
        refuse_unfit(manifest, PATH, flavour, capability, gpu_name)
    line = str(caught.value)
    assert line.startswith(str(PATH))
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("flavour", "built_for", "capability"),
    [
        (RTX, ["8.6"], "8.6"),
        (RTX, ["8.6", "8.9"], "8.9"),
        (RTX, PORTABLE, "8.0"),
        (RTX, PORTABLE, "12.1"),
        (RTX, [], "8.0"),  # As earlier manifests have it.
        (RTX, [], "12.0"),
        (STANDARD, ["8.7"], "8.7"),
    ],
)
def test_an_engine_for_this_machine_passes(flavour, built_for, capability):
    refuse_unfit(manifest_of(flavour, *built_for), PATH, flavour, capability, A4000)


@pytest.mark.parametrize("built_for", [PORTABLE, []])
@pytest.mark.parametrize("capability", ["8.7", "9.0", "10.0", "11.0"])
def test_a_portable_engine_is_refused_where_rtx_does_not_run(built_for, capability):
    line = refusal(manifest_of(RTX, *built_for), RTX, capability)
    assert f"is for compute capability 8.0, 8.6, 8.9, 12.0 or 12.1 and this GPU has {capability}" in line
    assert line.endswith("edgekd build 'line 2/detector.onnx' --backend tensorrt")


def test_a_standard_engine_is_refused_on_another_model_of_the_same_compute_capability():
    manifest = manifest_of(STANDARD, "8.6", built_on=A4000)
    refuse_unfit(manifest, PATH, STANDARD, "8.6", A4000)
    line = refusal(manifest, STANDARD, "8.6", A6000)
    assert f"was built on {A4000} and this GPU is {A6000}" in line
    assert "build it again on this machine with edgekd build detector.onnx --backend tensorrt, or once" in line
    assert line.endswith(
        "edgekd build detector.onnx --backend tensorrt --hardware-compatibility same-compute-capability"
    )


@pytest.mark.parametrize(
    ("compatibility", "capability", "passes"),
    [
        ("none", "8.9", False),
        ("same-compute-capability", "8.6", True),
        ("same-compute-capability", "8.9", False),
        ("ampere-plus", "8.6", True),
        ("ampere-plus", "8.0", True),
        ("ampere-plus", "12.0", True),
        ("ampere-plus", "7.5", False),
    ],
)
def test_hardware_compatibility_opens_an_engine_to_other_gpus(compatibility, capability, passes):
    manifest = manifest_of(STANDARD, "8.6", built_on=A4000, hardware_compatibility=compatibility)
    if passes:
        refuse_unfit(manifest, PATH, STANDARD, capability, A6000)
    else:
        line = refusal(manifest, STANDARD, capability, A6000)
        assert "build detector.onnx --backend tensorrt" in line or "build 'line 2/detector.onnx'" in line


def test_the_command_names_the_graph_beside_the_engine_where_only_that_is_there(tmp_path):
    (tmp_path / "line 2").mkdir()
    (tmp_path / "line 2" / "detector.onnx").touch()
    manifest = manifest_of(STANDARD, "8.6", command="edgekd build /gone/detector.onnx --backend tensorrt")
    with pytest.raises(ArtifactError) as caught:
        refuse_unfit(manifest, tmp_path / PATH, STANDARD, "8.7", A4000)
    command = shlex.split(str(caught.value).partition(" on this machine with ")[2])
    assert command == ["edgekd", "build", str(tmp_path / "line 2" / "detector.onnx"), "--backend", "tensorrt"]


def test_another_gpu_is_refused_with_the_command_that_builds_for_it_too():
    line = refusal(manifest_of(RTX, "8.6"), RTX, "8.9")
    assert "is for compute capability 8.6 and this GPU has 8.9" in line
    assert line.endswith("edgekd build detector.onnx --backend tensorrt-rtx --compute-capability 8.9")


def test_an_engine_for_ampere_and_later_is_refused_on_turing():
    line = refusal(manifest_of(RTX), RTX, "7.5")
    assert "is for compute capability 8.0, 8.6, 8.9, 12.0 or 12.1 and this GPU has 7.5" in line
    assert line.endswith("--compute-capability 7.5")


def test_a_gpu_that_rtx_does_not_serve_is_sent_to_the_standard_flavour():
    line = refusal(manifest_of(RTX, "8.6"), RTX, "8.7")
    assert line.endswith("build for this machine with edgekd build 'line 2/detector.onnx' --backend tensorrt")


def test_a_standard_engine_of_another_gpu_is_built_again_here():
    line = refusal(manifest_of(STANDARD, "8.6"), STANDARD, "8.7")
    assert line.endswith("build it again on this machine with edgekd build detector.onnx --backend tensorrt")


def test_another_version_is_refused_with_the_command_that_built_it():
    line = refusal(manifest_of(STANDARD, "8.7"), STANDARD._replace(version="10.13.3.9"), "8.7")
    assert "was built by TensorRT 10.3.0 and 10.13.3.9, which is here, cannot read it" in line
    assert line.endswith("edgekd build detector.onnx --backend tensorrt")
    with pytest.raises(ArtifactError, match=r"built by OpenVINO 10\.3\.0 and 2027\.1"):
        refuse_other_version(manifest_of(STANDARD), PATH, "OpenVINO", "2027.1")


def test_another_flavour_is_refused_with_what_to_install_or_build():
    line = refusal(manifest_of(RTX, "8.6"), STANDARD, "8.6")
    assert "is an engine of TensorRT for RTX and not of TensorRT: pip install 'edgekd[tensorrt-rtx]', or build" in line
    assert line.endswith("edgekd build 'line 2/detector.onnx' --backend tensorrt")


@pytest.mark.parametrize("record", [None, {}, [], "tensorrt", {"flavour": "tensorrt"}])
def test_a_manifest_without_a_record_of_the_build_is_refused(record):
    with pytest.raises(ArtifactError, match="does not say how it was built"):
        refuse_unfit({"engine": record}, PATH, RTX, "8.6", A4000)


def test_without_a_gpu_the_graph_is_named_that_runs_without_one():
    error = needs_gpu(manifest_of(RTX, "8.6", "8.9", "12.0"), PATH, MachineError("no driver"))
    assert str(error) == (
        f"{PATH} needs an NVIDIA GPU of compute capability 8.6, 8.9 or 12.0, and none answers here: no driver; "
        "without one run edgekd bench --engine 'line 2/detector.onnx'"
    )
    assert error.exit_code == 3
    portable = needs_gpu(manifest_of(RTX), PATH, MachineError("no driver"))
    assert "needs an NVIDIA GPU of compute capability 8.0, 8.6, 8.9, 12.0 or 12.1, and" in str(portable)


def test_capabilities_in_words():
    assert capabilities_text(["8.6"]) == "compute capability 8.6"
    assert capabilities_text(["8.6", "8.9"]) == "compute capability 8.6 or 8.9"


def test_capabilities_are_sorted_as_numbers_each_once():
    assert checked_capabilities(["12.0", "8.6", "12.0", "7.5"]) == ["7.5", "8.6", "12.0"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("8.7", "8.7 is a Jetson Orin, .* on the Jetson itself, with the TensorRT that comes with JetPack"),
        ("9.0", "'9.0' is no compute capability that TensorRT for RTX builds for: they are 7.5, 8.0, 8.6"),
        ("86", "'86' is no compute capability"),
        ("", "'' is no compute capability"),
    ],
)
def test_a_capability_that_rtx_does_not_build_for_names_what_to_do(text, complaint):
    with pytest.raises(EdgekdError, match=complaint):
        checked_capabilities(["8.6", text])


@pytest.fixture
def standard(tmp_path, monkeypatch):
    """Writes a module that stands for the standard flavour, which this machine may lack."""
    had = sys.modules.pop("tensorrt", None)
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str) -> None:
        (tmp_path / "tensorrt.py").write_text(source)
        importlib.invalidate_caches()

    yield write
    sys.modules.pop("tensorrt", None)
    if had is not None:
        sys.modules["tensorrt"] = had


def test_the_standard_flavour_comes_first_where_it_is_new_enough(standard):
    standard('__version__ = "10.3.0"')
    assert default_flavour()[:2] == ("tensorrt", "10.3.0")
    assert default_flavour().title == "TensorRT"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('__version__ = "10.2.0.post1"', r"TensorRT 10\.2\.0\.post1 is too old, 10\.3 or newer is needed: pip install"),
        ('__version__ = "8.6.1"', r"TensorRT 8\.6\.1 is too old"),
        (
            "raise OSError('libnvinfer.so.10: no such file')",
            r"TensorRT does not load \(libnvinfer\.so\.10: no such file\)",
        ),
        ("import no_such_library", "TensorRT does not load .No module named 'no_such_library'"),
    ],
)
def test_a_standard_flavour_that_cannot_be_used_leaves_it_to_rtx(standard, source, complaint):
    standard(source)
    with pytest.raises(MachineError, match=complaint):
        load_flavour("tensorrt")
    pytest.importorskip("tensorrt_rtx")
    assert default_flavour().name == "tensorrt-rtx"


def test_without_any_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(flavours, "MODULES", {"tensorrt": "no_tensorrt", "tensorrt-rtx": "no_tensorrt_rtx"})
    with pytest.raises(
        MachineError, match=r"pip install 'edgekd\[tensorrt-rtx\]', or pip install 'edgekd\[tensorrt\]'; on a Jetson"
    ):
        default_flavour()
    with pytest.raises(
        MachineError, match=r"TensorRT is not installed: pip install 'edgekd\[tensorrt\]'; on a Jetson it comes with"
    ):
        load_flavour("tensorrt")


def test_an_unusable_standard_flavour_alone_says_why(standard, monkeypatch):
    standard('__version__ = "8.6.1"')
    monkeypatch.setitem(flavours.MODULES, "tensorrt-rtx", "no_tensorrt_rtx")
    with pytest.raises(MachineError, match="too old"):
        default_flavour()


def test_an_unknown_flavour_names_the_nearest():
    with pytest.raises(EdgekdError, match="unknown TensorRT 'tensorrt-rxt': did you mean tensorrt-rtx"):
        load_flavour("tensorrt-rxt")
