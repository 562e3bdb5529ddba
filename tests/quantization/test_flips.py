"""Verdicts that a graph in lower precision changes."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekd.preprocessing import Preprocessing, square
from edgekd.quantization.flips import MOST_CHANGED, MOST_FLIPPED, Flips, JudgedImages, flip_chances, flips_finder
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.qdq import Scheme
from edgekd.quantization.sensitivity import leave_least_in_float
from edgekd.view import View

SCORES = np.linspace(0, 1, 101, dtype=np.float32)


def scaled(model, factor):
    """The graph with the weights of its last convolution multiplied: scores change, and verdicts by how much."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    weights = {node.input[1] for node in changed.graph.node if node.op_type == "Conv"}
    last = [each for each in changed.graph.initializer if each.name in weights][-1]
    last.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(last) * np.float32(factor), last.name))
    return changed


@pytest.fixture(scope="module")
def judged(frames, unseen):
    """Good frames, and frames with a bright square each."""
    defective = unseen.copy()
    for index, frame in enumerate(defective):
        frame[8 : 16 + 2 * index, 8:40] = 255
    return JudgedImages(unseen, frames, defective, square(64), 0.01)


@pytest.fixture(scope="module")
def parts_spoiled(parts):
    """The split graph, its layers, and scales of which one layer's is fifty times too large."""
    split, layers, scales = parts
    broken = next(layer for layer in layers.quantizable if layer.name == "teacher.6")
    return split, layers, Scheme(scales | {broken.activation: 50 * scales[broken.activation]})


def test_the_same_scores_flip_no_verdict():
    assert flip_chances(SCORES, SCORES, 0.5).max() == 0


def test_a_shift_flips_as_many_verdicts_as_images_lie_in_its_way():
    # Of 101 images a hundredth apart, two lie between any threshold and the one 0.02 below it.
    assert flip_chances(SCORES, SCORES + np.float32(0.02), 0.5).mean() == pytest.approx(2 / 101, rel=0.1)


def test_changes_far_from_the_threshold_flip_nothing():
    far = np.abs(SCORES - 0.5) > 0.3
    assert flip_chances(SCORES, SCORES + np.float32(0.02) * far, 0.5).max() == 0


def test_what_flips_does_not_hang_on_where_one_image_lies():
    changed = SCORES + np.random.default_rng(0).normal(0, 0.005, 101).astype(np.float32)
    shares = [flip_chances(SCORES, changed, threshold).mean() for threshold in np.linspace(0.495, 0.505, 11)]
    assert max(shares) < 1.1 * min(shares)


def test_where_many_scores_are_the_threshold_the_verdicts_at_it_are_counted():
    before, after = np.zeros(10, np.float32), np.array([0] * 9 + [1], np.float32)
    assert flip_chances(before, after, 0.0).tolist() == [0] * 9 + [1]


def test_a_graph_flips_no_verdict_of_its_own(float_graph, judged):
    assert flips_finder(float_graph, judged)(float_graph).share == 0


def test_of_tiles_the_highest_score_counts(float_graph, judged):
    twice = Preprocessing(64, 64, view=View(tiles=(1, 2)))
    tiled = judged._replace(
        held_out=np.repeat(judged.held_out, 2, 0), trained=np.repeat(judged.trained, 2, 0), preprocessing=twice
    )
    other = scaled(float_graph, 1.3)
    assert flips_finder(float_graph, tiled)(other).share == flips_finder(float_graph, judged)(other).share > 0


def test_tiles_that_are_not_looked_at_have_no_say(float_graph, judged):
    left = Preprocessing(64, 64, view=View((64, 128), look_at=(((0, 0), (60, 0), (60, 63), (0, 63)),), tiles=(1, 2)))
    loud = np.where(np.indices((64, 64)).sum(0)[..., None] // 8 % 2, 255, 0).astype(np.uint8).repeat(3, 2)

    def with_loud(frames):
        return np.stack([each for frame in frames for each in (frame, loud)])

    tiled = judged._replace(held_out=with_loud(judged.held_out), trained=with_loud(judged.trained), preprocessing=left)
    other = scaled(float_graph, 1.3)
    assert flips_finder(float_graph, tiled)(other).share == flips_finder(float_graph, judged)(other).share > 0


def test_the_frames_that_change_the_most_are_shown(float_graph, judged):
    other = scaled(float_graph, 1.3)
    shown = flips_finder(float_graph, judged)(other).most_changed
    assert len(shown) == MOST_CHANGED
    compared = np.concatenate([judged.held_out, judged.defective])
    assert all((frame == compared).all((1, 2, 3)).any() for frame in shown)


def test_scores_that_are_not_finite_flip_every_verdict(float_graph, judged):
    assert flips_finder(float_graph, judged)(scaled(float_graph, np.nan)).share == 1


def test_layers_stay_in_float_where_verdicts_flip_though_the_noise_is_within_the_limit(parts_spoiled, judged):
    split, layers, spoiled = parts_spoiled
    flips = flips_finder(split, judged)
    careless = leave_least_in_float(split, layers.quantizable, spoiled, judged.trained, 1e6)
    found = leave_least_in_float(split, layers.quantizable, spoiled, judged.trained, 1e6, flips=flips)
    assert (careless.in_float, careless.flips) == ([], None)
    assert found.in_float == ["teacher.6"]  # The spoiled one alone, however large the limit of noise is.
    assert found.flips <= MOST_FLIPPED
    assert found.noise < careless.noise


def test_verdicts_that_no_graph_keeps_leave_the_limit_of_noise_alone_to_decide(parts_spoiled, judged):
    split, layers, spoiled = parts_spoiled
    found = leave_least_in_float(
        split, layers.quantizable, spoiled, judged.trained, 1e6, flips=lambda graph: Flips(0.3, judged.defective)
    )
    assert (found.in_float, found.flips) == ([], 0.3)


def test_the_share_is_recorded(float_graph, frames, judged):
    _, about = to_int8(float_graph, frames[:4], "min-max", 0.5, verdicts_on=judged)
    assert 0 <= about["quantization"]["flips"] <= 1
