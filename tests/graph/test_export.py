import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import edgekd.engines.opening as opening
from edgekd.artifact import manifest_path, read_manifest, sha256
from edgekd.data.good_images import read_frames
from edgekd.data.images import decode_image
from edgekd.data.resizing import resize_into
from edgekd.engines import BACKENDS, open_engine
from edgekd.engines.cores import usable_cores
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.graph import export as export_module
from edgekd.graph.export import build_graph, export_detector
from edgekd.graph.frames import CENTRE, FrameNetwork
from edgekd.graph.macs import count_macs
from edgekd.graph.parity import ENGINES_APART, RESOLUTION, TOLERANCE, measure_parity, torch_outputs
from edgekd.graph.rewrites import StaticCBAM, rewrite
from edgekd.macs import product_macs
from edgekd.models.attention import CBAM
from edgekd.models.counting import count
from edgekd.models.registry import find_system
from edgekd.recipe import read_export_recipe
from edgekd.training.run import load_run

from ..run_command import main
from .graphs import OPSET, graph_of, prepared

LIGHT = (("backbone", "efficientnet_lite0"),)
LITE1, LITE0, RESNET = ((("teacher", name),) for name in ("efficientnet_lite1", "efficientnet_lite0", "resnet18"))
DYNAMIC = {"Shape", "Gather", "Loop", "If", "NonZero", "Slice", "Expand", "Where"}


def manifest_for(batch, size):
    return {"inputs": {"frames": {"shape": [batch or "batch", size, size, 3]}}}


def products_of_resizes(model):
    """The shapes of the products that resize single maps: result and left factor."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = {value.name: value.type.tensor_type.shape.dim for value in [*graph.value_info, *graph.output]}
    shapes = {name: [side.dim_value for side in sides] for name, sides in values.items()}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    return [
        (shapes[n.output[0]], shapes[n.input[0]]) for n in graph.node if "upsample" in n.name and n.op_type == "MatMul"
    ]


@pytest.fixture(scope="module")
def frames(elpv_images):
    return read_frames(elpv_images[200:204], 64)


@pytest.mark.parametrize(
    ("system", "settings"),
    [
        ("hkt", ()),
        pytest.param("hkt", LITE1, marks=pytest.mark.slow),
        pytest.param("hkt_plus", (), marks=pytest.mark.slow),
        pytest.param("mhkd", (), marks=pytest.mark.slow),
        pytest.param("pfadseg", (), marks=pytest.mark.slow),
        pytest.param("dskd", (), marks=pytest.mark.slow),
        pytest.param("mthf", (), marks=pytest.mark.slow),
    ],
)
def test_torch_and_both_engines_agree_at_256_pixels_one_frame_and_four(system, settings, elpv_images, tmp_path):
    paths = tuple(elpv_images[200:202])
    two, detector = read_frames(paths, 256), prepared(system, paths[:1], 256, settings)
    model = build_graph(detector, 256, None, OPSET)
    onnx.save(model, tmp_path / "x.onnx")
    manifest = manifest_for(None, 256) | {"sha256": sha256(tmp_path / "x.onnx")}
    torch.set_num_threads(usable_cores())
    scores, maps = torch_outputs(detector, two)
    torch.set_num_threads(1)
    spread = maps.max() - maps.min()
    allowed = max(TOLERANCE * spread, RESOLUTION * np.abs(maps).max())
    for build in BACKENDS.values():
        with build(tmp_path / "x.onnx", manifest, usable_cores()) as engine:
            for order in ([0], [0, 1, 1, 0]):
                outputs = engine.infer(two[order])
                assert outputs.anomaly_maps.shape == (len(order), 256, 256)
                assert np.abs(outputs.anomaly_maps - maps[order]).max() <= allowed
                assert np.abs(outputs.scores - scores[order]).max() <= allowed


@pytest.mark.parametrize(
    ("system", "size", "settings", "besides"),
    [
        ("hkt", 64, (), set()),
        ("hkt_plus", 40, (), set()),
        ("hkt_plus", 64, LITE0, {"Clip", "Resize"}),
        ("hkt", 64, RESNET, {"MaxPool", "Resize"}),
        ("mhkd", 64, (), set()),
        ("mhkd", 64, LITE0, {"Clip", "Resize"}),
        ("pfadseg", 64, (), set()),
        ("dskd", 64, LIGHT, {"Clip"}),
        ("mthf", 64, (), set()),
    ],
)
def test_a_fixed_batch_graph_keeps_to_the_inventory_and_is_static(
    system, size, settings, besides, elpv_images, tmp_path
):
    paths = tuple(elpv_images[:4])
    detector, model = prepared(system, paths, size, settings), graph_of(system, paths, size, 4, settings)
    onnx.checker.check_model(model, full_check=True)
    recipe = read_export_recipe(system)
    assert recipe.opset == OPSET
    kinds = {node.op_type for node in model.graph.node}
    assert kinds - recipe.operators == besides
    assert besides <= recipe.variant_operators
    if not settings:
        assert kinds == recipe.operators
    assert not kinds & (DYNAMIC - {"Slice"})  # A crop's bounds are constants.
    constants = {tensor.name for tensor in model.graph.initializer}
    assert all(node.input[1] in constants for node in model.graph.node if node.op_type in ("Reshape", "Slice"))
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert [(entry.domain, entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")] == [
        ("", OPSET)
    ]
    assert all(not node.metadata_props and not node.doc_string for node in model.graph.node)
    # Where a backbone reads what the student reads, simplifying makes one colour change of two or three.
    resizes = sum(product_macs(*shapes) for shapes in products_of_resizes(model))
    merged = (count(rewrite(detector.deployed()), size).macs - count_macs(model) + resizes / 4) / (9 * size * size)
    assert merged in {"mthf": (0, 1, 2), "pfadseg": (1,)}.get(system, (0,))
    onnx.save(model, tmp_path / "x.onnx")
    figures = measure_parity(tmp_path / "x.onnx", manifest_for(4, size), detector, read_frames(paths, size))
    assert set(figures) == {"onnxruntime", "openvino"}
    if system != "pfadseg":  # Untrained, its map varies by less than a thousandth.
        assert all(figure["map"] < 5e-5 and figure["score"] < 5e-5 for figure in figures.values())


def test_the_graph_takes_camera_frames_and_gives_raw_scores_and_maps(exported):
    graph = onnx.load(exported).graph
    described = {
        value.name: (value.type.tensor_type.elem_type, [entry.dim_value for entry in value.type.tensor_type.shape.dim])
        for value in [*graph.input, *graph.output]
    }
    assert described == {
        "frames": (onnx.TensorProto.UINT8, [1, 64, 64, 3]),
        "score": (onnx.TensorProto.FLOAT, [1]),
        "anomaly_map": (onnx.TensorProto.FLOAT, [1, 64, 64]),
    }


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_trained_run_says_the_same_in_torch_and_as_it_ships(trained_run, exported, frames, backend):
    detector, _ = load_run(trained_run)
    scores, maps = torch_outputs(detector, frames)
    with open_engine(exported, backend) as engine:
        outputs = [engine.infer(frames[index : index + 1]) for index in range(len(frames))]
    spread = maps.max() - maps.min()
    assert np.abs(np.concatenate([output.anomaly_maps for output in outputs]) - maps).max() <= 1e-4 * spread
    assert np.abs(np.concatenate([output.scores for output in outputs]) - scores).max() <= 1e-4 * spread
    assert len(set(scores.tolist())) == len(scores)


def test_the_manifest_says_what_the_artifact_is_and_where_it_comes_from(trained_run, exported):
    manifest = read_manifest(exported)
    expected = {
        "system": "hkt",
        "precision": "fp32",
        "trained": True,
        "iterations": 20,
        "file": "detector.onnx",
        "format_version": 1,
        "calibration": None,
    }
    assert {key: manifest[key] for key in expected} == expected
    assert manifest["sha256"] == sha256(exported)
    files = ("recipe.json", "student.safetensors", "teacher.safetensors")
    assert manifest["made_from"] == {name: sha256(trained_run / name) for name in files}
    assert manifest["inputs"]["frames"] == {"dtype": "uint8", "shape": [1, 64, 64, 3], "layout": "NHWC, BGR"}
    assert manifest["outputs"]["anomaly_map"] == {"dtype": "float32", "shape": [1, 64, 64]}
    assert manifest["teachers"][0]["sha256"]
    assert manifest["macs"] == count_macs(onnx.load(exported))
    assert manifest["threshold"]["good_images"] == 11
    assert manifest["threshold"]["value"] > 0
    assert set(manifest["tools"]) >= {"edgekd", "torch", "onnx"}
    for figures in manifest["parity"].values():
        assert figures["map"] <= TOLERANCE


@pytest.mark.parametrize("rule", ["area", "area-2"])
def test_an_artifact_keeps_the_rule_that_its_run_resized_images_by(trained_run, tmp_path, monkeypatch, rule):
    run = tmp_path / "run"
    shutil.copytree(trained_run, run, ignore=shutil.ignore_patterns("detector*", "checkpoint*"))
    recipe = json.loads((run / "recipe.json").read_text())
    assert recipe.pop("resize") == "area-2"
    (run / "recipe.json").write_text(json.dumps(recipe if rule == "area" else recipe | {"resize": rule}))
    used = set()

    def resize(image, out, rule):
        used.add(rule)
        resize_into(image, out, rule)

    monkeypatch.setattr("edgekd.data.resizing.resize_into", resize)  # Of parity's frames.
    monkeypatch.setattr("edgekd.data.preparing.resize_into", resize)  # Of the threshold's.
    monkeypatch.setattr("edgekd.data.good_images.decode_image", lambda *what: decode_image(*what).repeat(2, 0))
    assert main(["export", str(run)]) == 0
    assert used == {rule}
    assert read_manifest(run / "detector.onnx")["resize"] == {"rule": rule}
    with open_engine(run / "detector.onnx", "onnxruntime") as engine:
        assert engine.preprocessing.resize == rule


def test_a_changed_file_is_refused_before_anything_parses_it(exported, tmp_path, monkeypatch):
    shutil.copy(exported, tmp_path / "x.onnx")
    shutil.copy(manifest_path(exported), tmp_path / "x.json")
    data = bytearray((tmp_path / "x.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "x.onnx").write_bytes(data)
    parsed = []
    monkeypatch.setattr(opening, "BACKENDS", {name: lambda *given: parsed.append(given) for name in BACKENDS})
    for backend in (None, *BACKENDS):
        with pytest.raises(ArtifactError, match=r"x\.onnx is not the file x\.json describes"):
            open_engine(tmp_path / "x.onnx", backend)
    assert parsed == []


@pytest.mark.parametrize("system", ["hkt", "hkt_plus"])
def test_nodes_are_named_after_their_modules_each_by_a_name_of_its_own(system, elpv_images):
    graph = graph_of(system, tuple(elpv_images[200:202]), 64, 1).graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    of_weights = {node.name: node.input[1] for node in graph.node if node.op_type == "Conv"}
    modules = {weight.removeprefix("network.").removesuffix(".weight") for weight in of_weights.values()}
    assert len(modules) > 6
    assert {name.partition("/")[0] for name in of_weights} <= modules | {"student", "teacher"}


def test_a_graph_that_differs_is_not_written(trained_run, exported, frames, tmp_path, monkeypatch):
    detector, _ = load_run(trained_run)
    graph = onnx.load(exported)
    monkeypatch.setattr(export_module, "build_graph", lambda *given: graph)
    detector.student.convolutions[0].bias.data += 0.5
    with pytest.raises(EdgekdError, match=r"differs from the network by .* the artifact was not written"):
        export_detector(detector, "hkt", 64, 1, frames[:1], tmp_path / "x.onnx", {})
    assert list(tmp_path.iterdir()) == []


def times(factor):
    """A lowering that multiplies the map."""

    def lower(model):
        lowered = onnx.ModelProto()
        lowered.CopyFrom(model)
        producer = next(node for node in lowered.graph.node if "anomaly_map" in node.output)
        producer.output[0] = "before"
        lowered.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(factor), "factor"))
        lowered.graph.node.append(onnx.helper.make_node("Mul", ["before", "factor"], ["anomaly_map"]))
        return lowered, {"precision": "fp16"}

    return lower


def test_a_lowered_graph_that_overflows_is_not_written(trained_run, frames, tmp_path):
    detector, recipe = load_run(trained_run)
    with pytest.raises(EdgekdError, match="fp16 graph overflows"):
        export_detector(detector, recipe.system, 64, 1, frames[:1], tmp_path / "x.onnx", {}, times(np.inf))
    assert not list(tmp_path.iterdir())


def test_a_lowered_graph_that_engines_disagree_on_is_not_written(trained_run, frames, tmp_path, monkeypatch):
    detector, recipe = load_run(trained_run)
    other = tmp_path / "other" / "x.onnx"
    manifest = export_detector(detector, recipe.system, 64, 1, frames[:1], other, {}, times(1.5))
    assert manifest["agreement"]["openvino"]["noise"] > 0.1
    onnxruntime = BACKENDS["onnxruntime"]

    def elsewhere(path, manifest, threads):
        taken = other if manifest["precision"] == "fp16" else path
        return onnxruntime(taken, manifest | {"sha256": sha256(taken)}, threads)

    monkeypatch.setitem(BACKENDS, "onnxruntime", elsewhere)
    with pytest.raises(EdgekdError, match="differ on the fp16 graph by"):
        export_detector(detector, recipe.system, 64, 1, frames[:1], tmp_path / "x.onnx", {}, times(1.0))
    assert not list(tmp_path.glob("*.onnx"))


def test_engines_may_differ_by_no_more_than_the_lowered_graph_differs_from_torch(
    trained_run, frames, tmp_path, monkeypatch
):
    detector, recipe = load_run(trained_run)
    other = tmp_path / "other" / "x.onnx"
    export_detector(detector, recipe.system, 64, 1, frames[:1], other, {}, times(1.6))
    onnxruntime = BACKENDS["onnxruntime"]

    def elsewhere(path, manifest, threads):
        taken = other if manifest["precision"] == "fp16" else path
        return onnxruntime(taken, manifest | {"sha256": sha256(taken)}, threads)

    monkeypatch.setitem(BACKENDS, "onnxruntime", elsewhere)
    manifest = export_detector(detector, recipe.system, 64, 1, frames[:1], tmp_path / "x.onnx", {}, times(1.5))
    noises = {backend: found["noise"] for backend, found in manifest["agreement"].items()}
    assert noises["onnxruntime"] - noises["openvino"] > ENGINES_APART  # Which is more than kernels round differently.


def test_an_operator_outside_the_inventory_is_refused_where_the_batch_is_fixed(exported):
    model, narrower = onnx.load(exported), read_export_recipe("hkt").operators - {"Sigmoid"}
    with pytest.raises(EdgekdError, match=r"holds Sigmoid, not in export/hkt\.toml"):
        export_module._keep_to_inventory(model, "hkt", narrower, fixed_batch=True)
    export_module._keep_to_inventory(model, "hkt", narrower, fixed_batch=False)
    model.graph.node[0].domain = "com.example"
    with pytest.raises(EdgekdError, match=r"needs operators of com\.example"):
        export_module._keep_to_inventory(model, "hkt", narrower, fixed_batch=False)


def test_folding_frames_into_the_first_weights_is_exact(frames, elpv_images):
    network = prepared("hkt", tuple(elpv_images[:4]), 64).deployed().double().eval()
    folded = FrameNetwork(network).double()
    images = torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2).double()
    mean, std = ([[[[v]] for v in values]] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    images = (images / 255 - torch.tensor(mean, dtype=torch.double)) / torch.tensor(std, dtype=torch.double)
    with torch.inference_mode():
        scores, maps = network(images)
        # The frames go in as double here, past the cast to float32 that the graph makes of bytes, which is exact.
        folded_scores, folded_maps = folded.network(torch.from_numpy(frames).permute(0, 3, 1, 2).double() - CENTRE)
    torch.testing.assert_close(folded_scores, scores, rtol=1e-9, atol=0)
    torch.testing.assert_close(folded_maps, maps, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 64, 9, 11), (1, 32, 1, 1)])
def test_static_cbam_is_cbam(shape):
    torch.manual_seed(0)
    block = CBAM(shape[1]).double()
    x = torch.randn(shape, dtype=torch.double)
    torch.testing.assert_close(StaticCBAM(block)(x), block(x), rtol=1e-12, atol=1e-12)


def test_rewriting_leaves_no_block_that_has_an_equivalent():
    deployed = rewrite(find_system("hkt_plus").build().deployed())
    assert not any(isinstance(module, CBAM) for module in deployed.modules())
    assert sum(isinstance(module, StaticCBAM) for module in deployed.modules()) == 3


def test_every_export_recipe_belongs_to_a_system():
    for path in (Path(__file__).parents[2] / "export").glob("*.toml"):
        find_system(path.stem)
        assert read_export_recipe(path.stem).opset >= 17
