"""ONNX Runtime's CUDA and TensorRT providers and OpenVINO's GPU and NPU, on a machine that may have none of them.

What computes here is the real ONNX Runtime and the real OpenVINO; where a test needs an accelerator to be there, their
CPU stands in for it under the accelerator's name.
"""

import importlib.metadata
import re
import shutil
import subprocess
import warnings
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

import edgekd.engines.onnxruntime_gpu as onnxruntime_gpu
import edgekd.engines.opening as opening
from edgekd.artifact import read_manifest, write_manifest
from edgekd.backends import ON_CUDA, ONNXRUNTIME_CUDA, ONNXRUNTIME_TENSORRT
from edgekd.data.good_images import read_frames
from edgekd.engines import ACCELERATED, BACKENDS, open_engine
from edgekd.engines.accelerators import try_accelerator
from edgekd.engines.cuda import Device
from edgekd.engines.onnxruntime import session_options
from edgekd.engines.onnxruntime_gpu import OnnxRuntimeGpuEngine, check_placement, open_session, provider_options
from edgekd.engines.openvino_devices import cause, device_options
from edgekd.engines.trial import TRIAL_GRAPH, TRIAL_INPUT, TRIAL_OUTPUT, AcceleratorError, check_trial
from edgekd.errors import ArtifactError, EdgekdError, MachineError

from ..run_command import main
from .hand_made import graph, save

ort = pytest.importorskip("onnxruntime")
openvino = pytest.importorskip("openvino")
A_GPU = Device("NVIDIA RTX A2000", "8.6", "13.0", 6 * 2**30, 1, "GPU-1234")
ON_CPU = [("CPUExecutionProvider", {})]


def is_here(backend):
    try:
        try_accelerator(backend)
    except AcceleratorError:
        return False
    return True


@pytest.fixture(scope="module")
def frames(elpv_images):
    return read_frames(elpv_images[200:203], 64)


@pytest.fixture
def with_gpu(monkeypatch):
    """As if a GPU answered and ONNX Runtime had its providers: what it does then is its own."""
    monkeypatch.setattr(onnxruntime_gpu, "_gpu", lambda backend, index: A_GPU)
    monkeypatch.setattr(onnxruntime_gpu, "_runtime_with", lambda backend: ort)
    yield
    ort.set_default_logger_severity(2)


@pytest.fixture
def on_cpu(with_gpu, monkeypatch):
    """ONNX Runtime's CPU in the place of its CUDA provider."""
    monkeypatch.setitem(onnxruntime_gpu.PROVIDERS, ONNXRUNTIME_CUDA, "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime_gpu, "provider_options", lambda *given: ON_CPU)


@pytest.fixture
def artifact(exported, tmp_path):
    """Writes a copy of the exported detector whose manifest says something else."""

    def write(**changes):
        path = tmp_path / "other.onnx"
        path.write_bytes(exported.read_bytes())
        write_manifest(path, read_manifest(exported) | changes)
        return path

    return write


def test_the_trial_graph_is_one_and_both_libraries_compute_it():
    model = onnx.load_from_string(TRIAL_GRAPH)
    onnx.checker.check_model(model, full_check=True)
    [said] = ort.InferenceSession(TRIAL_GRAPH, providers=["CPUExecutionProvider"]).run(None, {"x": TRIAL_INPUT})
    assert np.array_equal(said, TRIAL_OUTPUT)
    core = openvino.Core()
    assert np.array_equal(core.compile_model(core.read_model(TRIAL_GRAPH, b""), "CPU")(TRIAL_INPUT)[0], TRIAL_OUTPUT)


def test_an_accelerator_that_computes_wrongly_is_refused():
    check_trial(ONNXRUNTIME_CUDA, TRIAL_OUTPUT)
    for wrong in (TRIAL_INPUT, TRIAL_OUTPUT * np.nan, TRIAL_OUTPUT[0]):
        with pytest.raises(AcceleratorError, match="it computes Relu"):
            check_trial(ONNXRUNTIME_CUDA, wrong)


@pytest.mark.parametrize("backend", ACCELERATED)
def test_what_is_not_here_is_one_line_that_says_what_to_install(exported, backend, capfd):
    if is_here(backend):
        pytest.skip(f"{backend} is here")
    capfd.readouterr()
    assert main(["bench", "--engine", str(exported), "--backend", backend]) == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"edgekd: {backend} cannot be used here: ")
    assert re.search("install|driver", said.err.partition(";")[2])


@pytest.mark.parametrize("backend", ON_CUDA)
def test_onnx_runtime_is_not_asked_for_what_it_would_replace_by_the_cpu(exported, backend):
    if is_here(backend):
        pytest.skip(f"{backend} is here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # It warns, and computes on the CPU.
        with pytest.raises(AcceleratorError) as raised:
            open_engine(exported, backend)
    if onnxruntime_gpu.PROVIDERS[backend] not in ort.get_available_providers():
        assert "pip uninstall -y onnxruntime, then pip install 'onnxruntime-gpu" in raised.value.install


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize("backend", ON_CUDA)
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_session_that_fell_back_to_the_cpu_is_refused(exported, backend):
    if onnxruntime_gpu.PROVIDERS[backend] in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has the provider")
    session = ort.InferenceSession(str(exported), providers=[onnxruntime_gpu.PROVIDERS[backend]])
    assert session.get_providers() == ["CPUExecutionProvider"]  # What it does by itself, without an error.
    with pytest.raises(AcceleratorError, match="does not start"):
        open_engine(exported, backend)


def test_a_session_whose_graph_the_provider_takes_nothing_of_is_refused(exported):
    options = session_options(1)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(str(exported), options, providers=["CPUExecutionProvider"])
    if not hasattr(session, "get_provider_graph_assignment_info"):
        pytest.skip("this ONNX Runtime does not tell where nodes run")
    with pytest.raises(AcceleratorError, match="CUDAExecutionProvider takes not one node of the graph"):
        check_placement(session, ONNXRUNTIME_CUDA)


def test_what_is_left_to_the_cpu_is_logged(caplog):
    node, part = namedtuple("node", "op_type"), namedtuple("part", "ep_name get_nodes")

    class Session:
        def get_provider_graph_assignment_info(self):
            yield part("CUDAExecutionProvider", lambda: [node("Conv")] * 7)
            yield part("CPUExecutionProvider", lambda: [node("Shape"), node("Gather"), node("Shape")])

    check_placement(Session(), ONNXRUNTIME_CUDA)
    assert caplog.messages == ["onnxruntime:cuda: 3 of 10 nodes run on the CPU (Gather, Shape)"]


@pytest.mark.usefixtures("with_gpu")
def test_a_graph_that_cannot_be_read_is_not_taken_for_a_missing_driver(monkeypatch):
    monkeypatch.setitem(onnxruntime_gpu.PROVIDERS, ONNXRUNTIME_CUDA, "CPUExecutionProvider")
    with pytest.raises(ArtifactError, match=r"ONNX Runtime cannot load text\.onnx: ."):
        open_session(b"no graph", ONNXRUNTIME_CUDA, 0, ON_CPU, "text.onnx")


def test_a_missing_library_is_told_by_its_name(tmp_path):
    """By a real library that needs another one which is not there, as a provider needs CUDA's."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "capi").mkdir()
    library = tmp_path / "capi" / onnxruntime_gpu.LIBRARIES[ONNXRUNTIME_CUDA]
    make = [compiler, "-shared", "-x", "c", "/dev/null", "-o"]
    subprocess.run([*make, str(tmp_path / "libnowhere.so.13"), "-Wl,-soname,libnowhere.so.13"], check=True)
    subprocess.run(
        [*make, str(library), "-Wl,--no-as-needed", "-x", "none", str(tmp_path / "libnowhere.so.13")], check=True
    )
    runtime = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    (tmp_path / "libnowhere.so.13").unlink()
    said = onnxruntime_gpu._missing_library(runtime, ONNXRUNTIME_CUDA)
    assert said == "libnowhere.so.13 is missing, which CUDAExecutionProvider needs"
    library.unlink()
    assert onnxruntime_gpu._missing_library(runtime, ONNXRUNTIME_CUDA) is None


@pytest.mark.usefixtures("on_cpu")
def test_an_engine_on_a_gpu_answers_as_the_graph_does_and_says_where_it_runs(exported, frames):
    with open_engine(exported, "onnxruntime", threads=1) as engine:
        expected = engine.infer(frames[:1])
    with open_engine(exported, ONNXRUNTIME_CUDA, device="cuda:1", slots=2) as engine:
        spec = engine.spec
        said = engine.infer(frames[:1])
        assert np.allclose(said.anomaly_maps, expected.anomaly_maps, rtol=1e-4, atol=1e-6)
        assert (engine.slots, engine.broken, engine.cuda_graphs) == (2, None, None)
    assert (spec.backend, spec.device, spec.threads) == (ONNXRUNTIME_CUDA, "NVIDIA RTX A2000 (cuda:1)", None)
    assert (spec.gpu_index, spec.gpu_uuid, spec.version) == (1, "GPU-1234", ort.__version__)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("text", "for_good"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", True),
        ("CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("TensorRT EP execution context enqueue failed.", True),
        ("Non-zero status code returned while running Conv node: bad shape", False),
    ],
)
def test_a_gpu_that_fails_is_a_machine_error_and_what_follows_is_not_computed(exported, frames, text, for_good):
    class Session:
        def run(self, outputs, inputs):
            raise RuntimeError(text)

    with OnnxRuntimeGpuEngine(exported, read_manifest(exported), ONNXRUNTIME_CUDA, 0) as engine:
        working, engine._session = engine._session, Session()
        with pytest.raises(MachineError, match=r"onnxruntime:cuda failed on NVIDIA RTX A2000 \(cuda:0\): "):
            engine.infer(frames[:1])
        engine._session = working
        assert (engine.broken is not None) == for_good
        if for_good:
            with pytest.raises(MachineError):
                engine.infer(frames[:1])
        else:
            assert np.isfinite(engine.infer(frames[:1]).scores).all()


def test_a_float32_graph_is_computed_in_float32_and_nothing_less(cache_folder):
    [(cuda, options)] = provider_options(ONNXRUNTIME_CUDA, 1, "fp32", "abc")
    assert (cuda, options["device_id"], options["use_tf32"]) == ("CUDAExecutionProvider", "1", "0")
    for precision, allowed in (("fp32", ("False", "False")), ("fp16", ("True", "False")), ("int8", ("False", "True"))):
        (tensorrt, options), (rest, _) = provider_options(ONNXRUNTIME_TENSORRT, 2, precision, "abc" * 30)
        assert (tensorrt, rest) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
        assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == allowed
        assert options["device_id"] == "2"
        assert options["trt_engine_cache_path"].startswith(str(cache_folder))
    assert device_options("GPU", "fp32") == device_options("GPU", "int8")
    assert device_options("GPU", "fp32")["INFERENCE_PRECISION_HINT"] == "f32"
    assert "INFERENCE_PRECISION_HINT" not in device_options("GPU", "fp16") | device_options("NPU", "fp32")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_openvino_takes_the_options_of_its_gpu(exported, precision):
    compiled = openvino.Core().compile_model(str(exported), "CPU", device_options("GPU", precision))
    mode, kept = compiled.get_property("EXECUTION_MODE_HINT"), compiled.get_property("INFERENCE_PRECISION_HINT")
    if precision == "fp16":  # Each layer in the type that the graph gives it.
        assert ("ACCURACY" in str(mode), kept) == (True, openvino.Type.dynamic)
    else:
        assert kept == openvino.Type.f32


def test_an_npu_refuses_a_graph_whose_batch_is_free(tmp_path):
    with pytest.raises(EdgekdError, match=r"the NPU takes graphs of a fixed batch, and .* takes any"):
        open_engine(save(graph(batch="n"), tmp_path), "openvino:npu")


def test_openvinos_errors_say_what_is_wrong_and_not_where_its_source_stands(tmp_path):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(RuntimeError) as raised:
        openvino.Core().compile_model(str(tmp_path / "text.onnx"), "CPU")
    assert str(raised.value).startswith("Exception from")
    assert cause(raised.value).startswith("Unable to read the model")
    missing = (
        'Exception from core.cpp:132:\nCannot load library "/a/b.so": /a/libc.so.1: cannot open shared object file: x'
    )
    assert cause(RuntimeError(missing)) == "libc.so.1 is missing"
    assert cause(RuntimeError("")) == "RuntimeError"


@pytest.mark.parametrize("backend", [None, *BACKENDS, "openvino:gpu", "openvino:npu"])
def test_a_gpu_of_nvidia_is_refused_where_none_computes(exported, backend):
    with pytest.raises(EdgekdError, match="--device cuda:1 is for NVIDIA GPUs") as raised:
        open_engine(exported, backend, device="cuda:1")
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_a_back_end_of_engines_is_refused_a_graph_with_the_command_that_builds_one(exported, backend):
    with pytest.raises(EdgekdError, match=rf"edgekd build .*detector\.onnx --backend {backend}$"):
        open_engine(exported, backend)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("slots", [1, 5])
def test_an_engine_has_as_many_slots_as_were_asked_for(exported, frames, backend, slots):
    with open_engine(exported, backend, threads=1, slots=slots) as engine:
        assert engine.slots == slots
        acquired = [engine.acquire() for _ in range(slots)]
        assert engine.acquire() is None
        for memory, frame in zip(acquired, frames, strict=False):
            memory[:] = frame
        tickets = [engine.submit(memory) for memory in acquired]
        assert all(np.isfinite(engine.collect(ticket).scores).all() for ticket in tickets)
        assert engine.acquire() is not None


@pytest.mark.parametrize("slots", [0, -1])
def test_no_slots_are_refused(exported, slots):
    with pytest.raises(EdgekdError, match=f"slots must be a positive integer, got {slots}"):
        open_engine(exported, "onnxruntime", slots=slots)


def test_the_faster_back_end_is_found_where_onnxruntime_is_the_package_for_gpus(exported, tmp_path, monkeypatch):
    real = importlib.metadata.version

    def version(package):
        if package == "onnxruntime":
            raise importlib.metadata.PackageNotFoundError(package)
        return "1.31.1" if package == "onnxruntime-gpu" else real(package)

    monkeypatch.setattr(opening.importlib.metadata, "version", version)
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    with open_engine(exported, threads=1) as engine:
        assert engine.spec.backend in BACKENDS
    assert "onnxruntime 1.31.1" in (tmp_path / "fastest_backend.json").read_text()


def test_inspecting_takes_device_and_slots(exported, good_folder, capsys):
    words = ["inspect", "--engine", str(exported), "--source", str(good_folder), "--backend", "openvino"]
    assert main([*words, "--slots", "2"]) == 0
    assert main([*words, "--device", "cuda:1"]) == 2
    assert "leave --device out" in capsys.readouterr().err
    assert main([*words, "--device", "gpu"]) == 2
    assert "--device must be cuda" in capsys.readouterr().err
