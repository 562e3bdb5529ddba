import shutil

import numpy as np
import onnx
import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.errors import EdgekdError
from edgekd.quantization.drift import map_noise
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.qdq import quantized_weight
from edgekd.quantization.running import run_graph
from edgekd.recipe import TrainingRecipe
from edgekd.training.batches import normalised_images
from edgekd.training.quantization_aware import rounded_to_int8
from edgekd.training.run import (
    become_quantization_aware,
    change_iterations,
    load_run,
    require_quantizable,
    train,
    training_images,
)
from edgekd.training.weight_files import read_weights

from ..run_command import main

CPU = torch.device("cpu")


@pytest.fixture
def float_run(trained_run, tmp_path):
    shutil.copytree(trained_run, tmp_path / "run")
    return tmp_path / "run"


def images(frames):
    return [normalised_images(frames[index : index + 1], CPU) for index in range(len(frames))]


def test_the_network_computes_as_its_int8_graph(trained_run, exported, elpv_images):
    detector, recipe = load_run(trained_run)
    good = read_frames(training_images(recipe)[::8], 64)
    unseen = read_frames(elpv_images[300:304], 64)
    graph, _ = to_int8(onnx.load(exported), good, "min-max", None, learned=True)
    shipped, in_float = run_graph(graph, unseen).maps, run_graph(onnx.load(exported), unseen).maps
    with torch.no_grad(), rounded_to_int8(detector, images(good)):
        rounded = np.concatenate([detector.anomaly_map(image).numpy() for image in images(unseen)])
    assert map_noise(in_float, shipped) > 0.005
    assert map_noise(rounded, shipped) < 0.5 * map_noise(in_float, shipped)


def test_afterwards_it_computes_in_float_again(trained_run, elpv_images):
    detector, _ = load_run(trained_run)
    image = images(read_frames(elpv_images[300:301], 64))[0]
    with torch.no_grad():
        before = detector.anomaly_map(image)
        with rounded_to_int8(detector, [image]):
            assert not torch.equal(detector.anomaly_map(image), before)
        assert torch.equal(detector.anomaly_map(image), before)


@pytest.mark.parametrize("index", [0, 1])
def test_weights_are_rounded_as_the_graph_stores_them(index, trained_run):
    detector, _ = load_run(trained_run)
    layer = detector.student.convolutions[index]
    weight = layer.weight.detach()
    ones = torch.eye(weight[0].numel()).view(-1, *weight.shape[1:])
    with torch.no_grad(), rounded_to_int8(detector, []):
        rounded = layer(ones)[:, :, 0, 0] - layer.bias  # Of a one alone, a convolution says what its weight is.
    steps, scale = quantized_weight(weight.numpy())
    found = rounded.T.reshape(weight.shape).numpy() / scale[:, None, None, None]
    off = np.abs(found - steps)
    assert off.max() < 1.01
    assert (off > 0.01).mean() < 1e-4  # Those that lie in the middle between two steps.


def test_gradients_pass_the_rounding(trained_run):
    detector, _ = load_run(trained_run)
    second = detector.student.convolutions[1].requires_grad_(True)
    with rounded_to_int8(detector, []):
        second(torch.rand(1, second.in_channels, 8, 8)).square().mean().backward()
    assert second.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_a_float_run_goes_on_as_int8_and_resumes_to_the_same_weights(float_run, tmp_path):
    with pytest.raises(EdgekdError, match="has done 20 iterations in float"):
        become_quantization_aware(float_run, 20)
    shutil.copytree(float_run, tmp_path / "twice")
    assert become_quantization_aware(float_run, 24).quantization_aware_from == 20
    train(float_run, CPU, lambda done, loss: None)
    become_quantization_aware(tmp_path / "twice", 22)
    train(tmp_path / "twice", CPU, lambda done, loss: None)
    assert change_iterations(tmp_path / "twice", 24).quantization_aware_from == 20
    train(tmp_path / "twice", CPU, lambda done, loss: None)
    once, twice = (read_weights(run / "student.safetensors") for run in (float_run, tmp_path / "twice"))
    assert all(torch.equal(once[name], twice[name]) for name in once)


@pytest.mark.slow
def test_what_was_trained_as_int8_ships_whole_and_uncorrected(float_run, capsys):
    become_quantization_aware(float_run, 24)
    train(float_run, CPU, lambda done, loss: None)
    assert main(["export", str(float_run), "--precision", "int8"]) == 0
    said = capsys.readouterr().out
    assert "8 convolutions in INT8\n" in said
    graph = onnx.load(float_run / "detector_int8.onnx")
    assert not any(tensor.name.endswith("_bias") for tensor in graph.graph.initializer)


def test_systems_that_do_not_gain_are_refused_by_name():
    recipe = TrainingRecipe("dskd", "", {}, 1, size=64, settings={"backbone": "efficientnet_lite0"})
    with pytest.raises(EdgekdError, match="--quantization-aware is for hkt and hkt_plus"):
        require_quantizable(recipe)
