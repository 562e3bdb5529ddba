"""Whether an engine that computes something else than its graph is found out; OpenVINO builds and runs them here."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgekd.profiling.verification as verification
from edgekd.artifact import manifest_path, read_json, read_manifest, write_manifest
from edgekd.data.good_images import read_frames
from edgekd.engines import open_engine
from edgekd.engines.build_plan import BuildChoices, plan_build
from edgekd.engines.compiling import build
from edgekd.engines.cuda.driver import Device
from edgekd.engines.tensorrt.flavours import Flavour
from edgekd.errors import DriftError, MachineError
from edgekd.profiling.verification import GENERATED, HELD_OUT, Place, images_for, place_for, verify_engine
from edgekd.run_folder import RECIPE_FILE

from ..engines.cuda.recording_driver import RecordingDriver
from ..run_command import main


@pytest.fixture(scope="module")
def images(exported):
    return images_for(exported, read_manifest(exported))


def engine_of(graph, folder):
    """An engine of OpenVINO, and its manifest."""
    output = folder / "x.engine"
    build(plan_build(graph, BuildChoices(output, "openvino")))
    return output, read_manifest(output)


def altered(graph, folder, change):
    """A copy of a graph that computes something else."""
    model = onnx.load(graph)
    change(model.graph)
    path = folder / "altered.onnx"
    onnx.save(model, path)
    write_manifest(path, read_manifest(graph))
    return path


def score_plus(amount):
    def change(graph):
        for node in graph.node:
            node.output[:] = ["score_before" if name == "score" else name for name in node.output]
        graph.initializer.append(numpy_helper.from_array(np.array([amount], np.float32), "amount"))
        graph.node.append(helper.make_node("Add", ["score_before", "amount"], ["score"], "shifted"))

    return change


def other_weights(graph):
    weight = max(graph.initializer, key=lambda tensor: len(tensor.raw_data))
    changed = numpy_helper.to_array(weight) * np.float32(1.02)
    weight.CopyFrom(numpy_helper.from_array(changed, weight.name))


def test_an_engine_that_computes_the_same_is_recorded_so(exported, images, tmp_path):
    verified = verify_engine(*engine_of(exported, tmp_path), exported, images, "this CPU")
    assert verified["reference"].startswith("onnxruntime ")  # And not OpenVINO, which runs the engine.
    assert (verified["on"], verified["from"], verified["images"]) == ("this CPU", HELD_OUT, 22)
    assert 0 < verified["noise"] < 1e-4  # The two round differently.
    assert 0 < verified["largest"] < 1e-4
    assert 0 <= verified["score"] < 1e-4
    assert verified["flips"] in (0, 1)  # The threshold is the score of one of them.


def test_other_weights_are_noise_in_the_map(exported, images, tmp_path):
    path, manifest = engine_of(altered(exported, tmp_path, other_weights), tmp_path)
    with pytest.raises(DriftError, match=r"an RMS difference of .* maps of \S+ standard deviations \(limit: 0\.01\)"):
        verify_engine(path, manifest, exported, images, "this CPU")


def test_another_score_is_another_verdict(exported, images, tmp_path):
    amount = 2 * read_manifest(exported)["threshold"]["value"]
    path, manifest = engine_of(altered(exported, tmp_path, score_plus(amount)), tmp_path)
    with pytest.raises(DriftError) as caught:
        verify_engine(path, manifest, exported, images, "this CPU")
    line = str(caught.value)
    assert "different verdicts on " in line
    assert "noise" not in line
    assert f"run the graph itself (edgekd bench --engine {exported})" in line
    assert "\n" not in line


def test_a_verdict_that_differs_at_the_threshold_itself_is_counted_and_no_fault(exported, images, tmp_path):
    with open_engine(exported, "onnxruntime") as engine:
        scores = [float(engine.infer(frame[None]).scores[0]) for frame in images.frames]
    path, manifest = engine_of(altered(exported, tmp_path, score_plus(1e-5 * max(scores))), tmp_path)
    manifest["threshold"]["value"] = max(scores)
    assert verify_engine(path, manifest, exported, images, "this CPU")["flips"] == 1


def score_through(*operators):
    """A change that computes the score by operators; not by a constant NaN, which older releases of OpenVINO ignore."""

    def change(graph):
        for node in graph.node:
            node.output[:] = ["score_0" if name == "score" else name for name in node.output]
        names = [*(f"score_{index}" for index in range(len(operators))), "score"]
        for operator, before, after in zip(operators, names[:-1], names[1:], strict=True):
            graph.node.append(
                helper.make_node(operator, [before, *(["huge"] if operator == "Sub" else [])], [after], after)
            )
        graph.initializer.append(numpy_helper.from_array(np.array([1e9], np.float32), "huge"))

    return change


@pytest.mark.parametrize("operators", [("Sub", "Sqrt"), ("Exp", "Exp", "Exp", "Exp", "Exp")], ids=["nan", "inf"])
def test_scores_that_are_no_numbers_are_refused(exported, images, tmp_path, operators):
    path, manifest = engine_of(altered(exported, tmp_path, score_through(*operators)), tmp_path)
    manifest["threshold"] = None
    with pytest.raises(DriftError, match="scores that are NaN or infinite"):
        verify_engine(path, manifest, exported, images, "this CPU")


def test_without_a_threshold_no_verdicts_are_compared(exported, images, tmp_path):
    path, manifest = engine_of(altered(exported, tmp_path, score_plus(1.0)), tmp_path)
    manifest["threshold"] = None
    assert verify_engine(path, manifest, exported, images, "this CPU")["flips"] is None


@pytest.mark.parametrize("batch", ["3", "dynamic"])
def test_batches_are_filled_up_and_cut_off_again(trained_run, images, tmp_path, batch):
    graph = tmp_path / "graph.onnx"
    assert main(["export", str(trained_run), "--batch", batch, "--output", str(graph)]) == 0
    path, manifest = engine_of(graph, tmp_path)
    manifest["engine"]["opt_batch"] = 4  # As one of TensorRT has; 22 images are not divided by it, nor by 3.
    verified = verify_engine(path, manifest, graph, images, "this CPU")
    assert verified["images"] == 22
    assert verified["noise"] < 1e-4


def test_the_images_are_those_that_the_run_held_out_and_each_again_with_an_anomaly(exported, trained_run, images):
    recipe = read_json(trained_run / RECIPE_FILE)
    held_out = [trained_run.parent / "good" / name for name in recipe["held_out"]]
    good, anomalous = np.split(images.frames, 2)
    assert np.array_equal(good, read_frames(held_out, 64))
    assert 0 < np.count_nonzero((good != anomalous).any((1, 2, 3))) <= len(held_out)
    assert images.origin == HELD_OUT
    assert images.why_generated is None


def test_images_are_made_where_the_runs_own_are_not_there(exported, trained_run, tmp_path):
    manifest = read_manifest(exported)

    def why(**changes):
        found = images_for(tmp_path / "detector.onnx", manifest | changes)
        assert found.origin == GENERATED
        assert found.frames.shape == (32, 64, 64, 3)
        return found.why_generated

    assert why().endswith("detector.onnx is not in the folder of its run")
    assert why(trained=False) == "the network is untrained"
    shutil.copy(trained_run / RECIPE_FILE, tmp_path)
    recipe = read_json(tmp_path / RECIPE_FILE)
    (tmp_path / RECIPE_FILE).write_text(json.dumps(recipe | {"iterations": 7}))
    assert "was not exported from the run in" in why()
    (tmp_path / RECIPE_FILE).write_text("no JSON")
    assert f"{tmp_path / RECIPE_FILE} is not valid JSON" in why()
    (tmp_path / RECIPE_FILE).write_text(json.dumps(recipe | {"data": str(tmp_path / "gone")}))
    made_from = manifest["made_from"] | {RECIPE_FILE: verification.sha256(tmp_path / RECIPE_FILE)}
    assert why(made_from=made_from) == f"the held-out images of the run are not in {tmp_path / 'gone'}"


RTX_MANIFEST = {
    "engine": {
        "flavour": "tensorrt-rtx",
        "version": "1.7.1.116",
        "compute_capabilities": ["8.9"],
        "onnx": "x.onnx",
        "command": "edgekd build x.onnx --backend tensorrt-rtx --compute-capability 8.9",
    }
}


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ("8.9", Place("NVIDIA L4 (8.9)", None)),
        ("8.6", "x.engine is for compute capability 8.9 and this GPU has 8.6: build it again with"),
        (None, "no NVIDIA GPU answers"),
    ],
)
def test_an_engine_runs_here_where_its_gpu_is(tmp_path, monkeypatch, capability, expected):
    asked = []
    driver = RecordingDriver()
    driver.device = Device("NVIDIA L4", capability, "13.0", 1 << 33)

    def opened(index):
        asked.append(index)
        if capability is None:
            raise MachineError("no NVIDIA GPU answers")
        return driver

    monkeypatch.setattr(verification, "open_driver", opened)
    monkeypatch.setattr(verification, "load_flavour", lambda name: Flavour(name, "1.7.1.116", None))
    place = place_for(tmp_path / "x.engine", RTX_MANIFEST, 1)
    assert asked == [1]
    if isinstance(expected, Place):
        assert place == expected
    else:
        assert place.on is None
        assert expected in place.why_not


def test_an_engine_of_openvino_runs_on_this_processor(exported, tmp_path):
    path, manifest = engine_of(exported, tmp_path)
    place = place_for(path, manifest)
    assert place == Place(manifest["engine"]["device"]["name"], None)
    assert manifest_path(path).is_file()
