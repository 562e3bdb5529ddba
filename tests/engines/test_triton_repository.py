"""A model repository for Triton: parsed with Triton's own schema, and, where a server is at hand, asked."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper

from edgekd.artifact import manifest_path, read_manifest, write_manifest
from edgekd.engines import open_engine
from edgekd.engines.triton_repository import (
    LARGEST_BATCH,
    engine_limits,
    model_name,
    plan_model,
    refuse_other_model,
    write_model,
)
from edgekd.errors import ArtifactError, EdgekdError

SERVER = os.environ.get("EDGEKD_TRITON_SERVER")
SIDE = 8
THRESHOLD = {"value": 0.1 + 0.2, "false_reject_rate": 0.01, "good_images": 40, "origin": 'the "highest" of 40'}


def schema():
    """Triton's model_config.proto as its client carries it, without the client's gRPC."""
    file = importlib.metadata.distribution("tritonclient").locate_file("tritonclient/grpc/model_config_pb2.py")
    spec = importlib.util.spec_from_file_location("model_config_pb2", str(file))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROTO = schema()


def parsed(model):
    """The config.pbtxt of a model, refused where a field, an enum or a type is not Triton's."""
    return text_format.Parse((model.folder / "config.pbtxt").read_text(), PROTO.ModelConfig())


def data_type(tensor):
    return PROTO.DataType.Name(tensor.data_type)


def graph(path, batch):
    """A small artifact with the inputs and outputs of every artifact: the map is a channel, the score its highest."""
    sides = [batch or "batch", SIDE, SIDE]
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["anomaly_map"], axes=[3], keepdims=0),
        helper.make_node("ReduceMax", ["anomaly_map"], ["score"], axes=[1, 2], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("frames", TensorProto.UINT8, [*sides, 3])]
    outputs = [
        helper.make_tensor_value_info("score", TensorProto.FLOAT, sides[:1]),
        helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, sides),
    ]
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "g", inputs, outputs), opset_imports=opsets, ir_version=8), path
    )
    write_manifest(path, manifest(batch))
    return path


def manifest(batch, **more):
    sides = [batch or "batch", SIDE, SIDE]
    return {
        "system": "hkt",
        "precision": "fp32",
        "trained": True,
        "made_from": {"recipe.json": "a" * 64, "student.safetensors": "b" * 64},
        "macs": 192,
        "iterations": 1,
        "inputs": {"frames": {"dtype": "uint8", "shape": [*sides, 3], "layout": "NHWC, BGR"}},
        "outputs": {
            "score": {"dtype": "float32", "shape": sides[:1]},
            "anomaly_map": {"dtype": "float32", "shape": sides},
        },
        "threshold": THRESHOLD,
        **more,
    }


def engine(path, batch, **record):
    """A file with the manifest of an engine of TensorRT: the repository is made from the manifest alone."""
    path.write_bytes(b"engine")
    built = {"flavour": "tensorrt", "largest_batch": 16, "opt_batch": 4, **record}
    write_manifest(path, manifest(batch, engine=built))
    return path


def served(tmp_path, artifact, batch, **options):
    """The artifact's model, written."""
    model = plan_model(tmp_path / "repository", artifact, batch, **options)
    write_model(model, artifact, read_manifest(artifact))
    return model


def test_a_graph_with_a_free_batch_is_batched_by_triton(tmp_path):
    config = parsed(served(tmp_path, graph(tmp_path / "part.onnx", None), None))
    assert (config.name, config.backend, config.default_model_filename) == ("part", "onnxruntime", "model.onnx")
    assert config.max_batch_size == LARGEST_BATCH
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds == 1000
    (frames,) = config.input
    score, anomaly_map = config.output
    assert (frames.name, data_type(frames), list(frames.dims)) == ("frames", "TYPE_UINT8", [SIDE, SIDE, 3])
    assert (score.name, data_type(score), list(score.dims)) == ("score", "TYPE_FP32", [1])
    assert score.HasField("reshape"), "a score has no dimension besides the batch, which Triton takes no dims for"
    assert list(score.reshape.shape) == []
    assert (anomaly_map.name, list(anomaly_map.dims)) == ("anomaly_map", [SIDE, SIDE])
    assert not anomaly_map.HasField("reshape")


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_part_of_the_shapes_and_not_triton_s(tmp_path, batch):
    config = parsed(served(tmp_path, graph(tmp_path / "part.onnx", batch), batch))
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == [batch, SIDE, SIDE, 3]
    assert [list(output.dims) for output in config.output] == [[batch], [batch, SIDE, SIDE]]
    assert not config.output[0].HasField("reshape"), "Triton refuses an empty reshape where it does not batch"
    assert list(config.model_warmup[0].inputs["frames"].dims) == [batch, SIDE, SIDE, 3]


def test_openvino_gets_a_free_batch_as_it_comes_and_the_name_of_the_onnx_file(tmp_path):
    config = parsed(served(tmp_path, graph(tmp_path / "part.onnx", None), None, backend="openvino"))
    assert (config.backend, config.default_model_filename) == ("openvino", "model.onnx")
    assert config.max_batch_size == 0, "its back end compiles for max_batch_size and refuses smaller requests"
    assert not config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == [-1, SIDE, SIDE, 3]
    assert [list(output.dims) for output in config.output] == [[-1], [-1, SIDE, SIDE]]
    assert list(config.model_warmup[0].inputs["frames"].dims) == [1, SIDE, SIDE, 3], "data has no free dimension"
    assert config.parameters["PERFORMANCE_HINT"].string_value == "LATENCY"
    assert config.instance_group[0].kind == PROTO.ModelInstanceGroup.KIND_CPU


def test_an_engine_of_tensorrt_is_served_as_a_plan_on_the_gpu(tmp_path):
    path = engine(tmp_path / "part_tensorrt.engine", None)
    model = served(tmp_path, path, None, max_batch=engine_limits(path, read_manifest(path)))
    config = parsed(model)
    assert (config.backend, config.platform) == ("tensorrt", "tensorrt_plan")
    assert (model.folder / "1" / "model.plan").read_bytes() == b"engine"
    assert config.max_batch_size == 16
    assert list(config.dynamic_batching.preferred_batch_size) == [4], "the batch that its kernels were chosen for"
    assert config.instance_group[0].kind == PROTO.ModelInstanceGroup.KIND_GPU
    assert "intra_op_thread_count" not in config.parameters


def test_a_gpu_computes_float32_in_float32(tmp_path):
    config = parsed(served(tmp_path, graph(tmp_path / "part.onnx", None), None, device="gpu"))
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert (accelerator.name, dict(accelerator.parameters)) == ("cuda", {"use_tf32": "0"})
    assert config.instance_group[0].kind == PROTO.ModelInstanceGroup.KIND_GPU


def test_the_threshold_travels_to_the_last_bit(tmp_path):
    model = served(tmp_path, graph(tmp_path / "part.onnx", None), None)
    parameters = {key: value.string_value for key, value in parsed(model).parameters.items()}
    assert float(parameters["edgekd_threshold"]) == THRESHOLD["value"]
    assert parameters["edgekd_threshold_origin"] == THRESHOLD["origin"]
    assert parameters["edgekd_sha256"] == read_manifest(model.file)["sha256"]
    assert read_manifest(model.file)["threshold"] == THRESHOLD


def test_without_a_threshold_there_is_no_parameter_of_one(tmp_path):
    path = graph(tmp_path / "part.onnx", None)
    write_manifest(path, manifest(None, threshold=None, trained=False))
    parameters = parsed(served(tmp_path, path, None)).parameters
    assert "edgekd_threshold" not in parameters
    assert parameters["edgekd_trained"].string_value == "false"


def test_only_the_version_that_the_threshold_is_of_is_served(tmp_path):
    config = parsed(served(tmp_path, graph(tmp_path / "part.onnx", None), None))
    assert list(config.version_policy.specific.versions) == [1]


def test_the_served_file_is_an_artifact_that_edgekd_runs(tmp_path):
    model = served(tmp_path, graph(tmp_path / "part.onnx", None), None)
    frames = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    with open_engine(model.file, "onnxruntime") as opened:
        np.testing.assert_array_equal(opened.infer(frames).scores, frames.max((1, 2, 3)))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/part/detector.onnx", "part"),
        ("runs/part/detector_int8.onnx", "part_int8"),
        ("runs/left side/detector.onnx", "left_side"),
        ("hkt.onnx", "hkt"),
        ("detectors.onnx", "detectors"),
    ],
)
def test_a_model_is_named_after_its_run_or_file(tmp_path, path, name):
    assert model_name(tmp_path / path) == name


def test_a_model_of_another_training_is_not_overwritten(tmp_path):
    path = graph(tmp_path / "part.onnx", None)
    model = served(tmp_path, path, None)
    before = model.file.read_bytes()
    with pytest.raises(EdgekdError, match=r"part holds another model \(hkt, fp32, .*delete it"):
        refuse_other_model(model, manifest(None, made_from={"recipe.json": "c" * 64}))
    assert model.file.read_bytes() == before


def test_the_same_model_is_written_anew_and_its_other_file_goes(tmp_path):
    path = graph(tmp_path / "part.onnx", None)
    served(tmp_path, path, None, max_batch=2)
    engine(tmp_path / "part.engine", None)
    plan = served(tmp_path, tmp_path / "part.engine", None)
    assert sorted(file.name for file in plan.file.parent.iterdir()) == ["model.json", "model.plan"]
    write_manifest(path, manifest(None))
    model = plan_model(tmp_path / "repository", path, None, max_batch=4)
    refuse_other_model(model, read_manifest(path))
    write_model(model, path, read_manifest(path))
    assert parsed(model).max_batch_size == 4
    assert sorted(file.name for file in model.file.parent.iterdir()) == ["model.json", "model.onnx"]


def test_a_write_that_fails_leaves_no_half_model(tmp_path):
    path = graph(tmp_path / "part.onnx", None)
    about = read_manifest(path)
    model = plan_model(tmp_path / "repository", path, None)
    path.unlink()
    with pytest.raises(EdgekdError, match=r"cannot write .*model\.onnx"):
        write_model(model, path, about)
    assert not model.folder.exists()


def test_a_type_that_triton_does_not_have_is_named(tmp_path):
    path = graph(tmp_path / "part.onnx", None)
    about = manifest(None)
    about["outputs"]["score"]["dtype"] = "float8"
    with pytest.raises(ArtifactError, match="score is float8"):
        write_model(plan_model(tmp_path / "repository", path, None), path, about)
    assert not (tmp_path / "repository").exists()


def test_an_engine_of_something_else_is_refused(tmp_path):
    path = engine(tmp_path / "part.engine", None, flavour="tensorrt-rtx")
    with pytest.raises(ArtifactError, match="is an engine of tensorrt-rtx, and Triton loads those of TensorRT alone"):
        engine_limits(path, read_manifest(path))


# From here on a server is asked: EDGEKD_TRITON_SERVER is a folder with bin/tritonserver and backends/python, such as
# /opt/tritonserver of NVIDIA's container, or pytriton/tritonserver of the package nvidia-pytriton.

STAND_IN = """
import sys
sys.path[:0] = {packages!r}
import json, os
import numpy
import triton_python_backend_utils as triton

NAMES = ["score", "anomaly_map"]

def onnxruntime(path):
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda frames: session.run(NAMES, {{"frames": frames}})

def openvino(path):
    import openvino
    compiled = openvino.Core().compile_model(path, "CPU", {{"PERFORMANCE_HINT": "LATENCY"}})
    return lambda frames: [compiled(frames)[name].copy() for name in NAMES]

class TritonPythonModel:
    def initialize(self, arguments):
        config = json.loads(arguments["model_config"])
        path = os.path.join(arguments["model_repository"], arguments["model_version"], config["default_model_filename"])
        self.run = globals()[config["backend"]](path)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):  # DLPack: the package's own conversion to numpy is of numpy 1.
        frames = numpy.from_dlpack(triton.get_input_tensor_by_name(request, "frames"))
        tensors = zip(NAMES, self.run(frames))
        return triton.InferenceResponse([triton.Tensor.from_dlpack(*pair) for pair in tensors])
"""


def back_ends(folder, name):
    """The server's back end where it has it; else one in Python under the same name, which runs the same runtime."""
    theirs = Path(SERVER, "backends")
    if (theirs / name).is_dir():
        return theirs
    (folder / "python").mkdir(parents=True)
    stubs = Path(SERVER, "python_backend_stubs", f"{sys.version_info[0]}.{sys.version_info[1]}")
    for file in [*(theirs / "python").iterdir(), *(stubs.iterdir() if stubs.is_dir() else [])]:
        shutil.copy(file, folder / "python")  # A link out of the folder is refused.
    (folder / name).mkdir()
    (folder / name / "model.py").write_text(STAND_IN.format(packages=[sysconfig.get_path("platlib")]))
    return folder


def ask(port, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://localhost:{port}/v2/{path}", data, timeout=30) as reply:
        return json.loads(reply.read() or b"{}")


@pytest.fixture
def ask_server(tmp_path, unused_port):
    """Starts the server on a repository; gives what asks it."""
    running = []

    def start(repository, backend):
        command = [
            Path(SERVER, "bin", "tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={back_ends(tmp_path / 'backends', backend)}",
            f"--http-port={unused_port}",
            "--allow-grpc=false",
            "--allow-metrics=false",
        ]
        libraries = [sysconfig.get_config_var("LIBDIR"), *map(str, Path(SERVER).parents[1].glob("*.libs"))]
        log = (tmp_path / "log").open("wb")
        environment = os.environ | {"LD_LIBRARY_PATH": ":".join(libraries)}
        running.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
        for _ in range(240):
            assert running[0].poll() is None, (tmp_path / "log").read_text()[-4000:]
            try:
                ask(unused_port, "health/ready")
            except OSError:
                time.sleep(0.25)
            else:
                return lambda path, body=None: ask(unused_port, path, body)
        raise AssertionError("the server does not get ready")

    yield start
    for process in running:
        process.terminate()
        process.wait(60)


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


@pytest.mark.skipif(SERVER is None, reason="no server: EDGEKD_TRITON_SERVER is not set")
@pytest.mark.parametrize(
    ("backend", "batch", "frames", "scores"),
    [("onnxruntime", None, 3, [3, 1]), ("onnxruntime", 2, 2, [2]), ("openvino", None, 5, [5])],
)
def test_a_server_serves_what_the_engine_computes(ask_server, trained_run, tmp_path, backend, batch, frames, scores):
    from ..run_command import main

    artifact = tmp_path / "part.onnx"
    words = ["export", trained_run, "--batch", batch or "dynamic", "--output", artifact]
    words += ["--triton", tmp_path / "repository", "--triton-backend", backend]
    assert main([str(word) for word in words]) == 0
    asked = ask_server(tmp_path / "repository", backend)
    images = np.random.default_rng(1).integers(0, 256, (frames, 64, 64, 3), np.uint8)
    tensor = {"name": "frames", "shape": images.shape, "datatype": "UINT8", "data": images.ravel().tolist()}
    reply = {output["name"]: output for output in asked("models/part/infer", {"inputs": [tensor]})["outputs"]}
    with open_engine(artifact, "onnxruntime") as opened:
        wanted = opened.infer(images)
    assert reply["score"]["shape"] == scores
    assert reply["anomaly_map"]["shape"] == [frames, 64, 64]
    # Triton's OpenVINO back end cannot be told to compute in float32: where the processor has bfloat16, that is taken.
    range_of_map = np.ptp(wanted.anomaly_maps)
    atol = range_of_map * (0.05 if backend == "openvino" else 1e-5)
    np.testing.assert_allclose(reply["score"]["data"], wanted.scores, rtol=0, atol=atol)
    np.testing.assert_allclose(reply["anomaly_map"]["data"], wanted.anomaly_maps.ravel(), rtol=0, atol=atol)
    parameters = asked("models/part/config")["parameters"]
    value = float(parameters["edgekd_threshold"]["string_value"])
    assert value == json.loads(manifest_path(artifact).read_text())["threshold"]["value"]
