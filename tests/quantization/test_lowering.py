import numpy as np
import pytest

from edgekd.data.good_images import read_frames
from edgekd.errors import DriftError
from edgekd.graph.export import build_graph
from edgekd.precisions import CALIBRATION_METHODS
from edgekd.quantization.bias_correction import bias_corrections
from edgekd.quantization.drift import map_noise
from edgekd.quantization.layers import find_layers
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.running import run_graph, tensors_of
from edgekd.quantization.sensitivity import leave_least_in_float
from edgekd.quantization.splitting import split_concatenated
from edgekd.training.run import load_run


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(method, marks=[] if method == "percentile" else [pytest.mark.slow])
        for method in CALIBRATION_METHODS
    ],
)
def test_every_method_gives_a_map_like_the_float_one(method, float_graph, frames, unseen):
    model, about = to_int8(float_graph, frames, method, None)
    assert about["quantization"]["method"] == method
    assert map_noise(run_graph(float_graph, unseen).maps, run_graph(model, unseen).maps) < 0.3


def test_corrected_biases_leave_no_mean_error(parts, frames):
    split, layers, scales = parts
    layer = next(layer for layer in layers.quantizable if layer.name == "teacher.3")
    coarse = {name: 8 * scale for name, scale in scales.items()}
    corrections = bias_corrections(split, [layer], Scheme(coarse), frames)
    assert list(corrections) == [layer.node]

    def mean_errors(scheme):
        model = quantize(split, scheme, [layer])
        pairs = zip(tensors_of(split, [layer.node], frames), tensors_of(model, [layer.node], frames), strict=True)
        return np.mean([(rounded - exact).mean((0, 2, 3)) for (exact,), (rounded,) in pairs], axis=0)

    before, after = (np.abs(mean_errors(Scheme(coarse, {}, given))).max() for given in ({}, corrections))
    assert before > 0
    assert after < 0.01 * before


def test_a_layer_that_spoils_the_map_is_left_in_float(parts, frames):
    split, layers, scales = parts
    broken = next(layer for layer in layers.quantizable if layer.name == "teacher.6")
    spoiled = Scheme(scales | {broken.activation: 50 * scales[broken.activation]})
    whole = map_noise(
        run_graph(split, frames).maps, run_graph(quantize(split, spoiled, layers.quantizable), frames).maps
    )
    found = leave_least_in_float(split, layers.quantizable, spoiled, frames, whole / 2)
    assert found.in_float == ["teacher.6"]
    assert next(iter(found.alone)) == "teacher.6"
    assert found.noise <= whole / 2


def test_a_map_that_attention_reads_stays_in_float_without_its_layer(parts, frames):
    split, layers, scales = parts
    layer = next(layer for layer in layers.quantizable if layer.name == "teacher.3")
    behind = next(node.output[0] for node in split.graph.node if layer.node in node.input)
    loudest = max(np.abs(maps).max() for (maps,) in tensors_of(split, [behind], frames))
    spoiled = Scheme(scales | {behind: float(loudest) / 2}, {layer.node: behind})  # As if attention read it.
    whole = map_noise(
        run_graph(split, frames).maps, run_graph(quantize(split, spoiled, layers.quantizable), frames).maps
    )
    found = leave_least_in_float(split, layers.quantizable, spoiled, frames, whole / 2)
    assert (found.in_float, found.maps_in_float) == ([], ["teacher.3"])
    assert next(iter(found.alone)) == "map of teacher.3"


def test_what_gives_next_to_no_noise_together_is_not_looked_into(parts, frames):
    split, layers, scales = parts
    broken = next(layer for layer in layers.quantizable if layer.name == "teacher.6")
    spoiled = Scheme(scales | {broken.activation: 50 * scales[broken.activation]}, layers.attended)
    whole = map_noise(
        run_graph(split, frames).maps, run_graph(quantize(split, spoiled, layers.quantizable), frames).maps
    )
    found = leave_least_in_float(split, layers.quantizable, spoiled, frames, whole / 2)
    maps = [noise for name, noise in found.alone.items() if name.startswith("map of")]
    others = [noise for name, noise in found.alone.items() if not name.startswith("map of")]
    assert len(maps) == 3
    assert len(set(maps)) == 1
    assert len(set(others)) == len(others)


def test_what_a_single_frame_alone_clips_is_found_wherever_it_stands(parts, frames):
    split, layers, scales = parts
    mixed = frames.copy()
    mixed[0] = np.where(np.indices((64, 64)).sum(0)[..., None] // 8 % 2, 255, 0)  # Louder than what was calibrated on.
    found = [
        leave_least_in_float(split, layers.quantizable, Scheme(scales), shown, 0.02) for shown in (mixed, mixed[::-1])
    ]
    assert found[0].in_float
    assert found[0].in_float == found[1].in_float
    assert found[0].alone == pytest.approx(found[1].alone)


def test_nothing_is_left_in_float_where_the_limit_is_kept_anyway(parts, frames):
    split, layers, scales = parts
    found = leave_least_in_float(split, layers.quantizable, Scheme(scales), frames, 10.0)
    assert found.in_float == []
    assert found.noise > 0


def test_a_limit_that_no_int8_graph_keeps_is_refused(parts, frames):
    split, layers, scales = parts
    with pytest.raises(DriftError, match="no INT8 graph drifts by 0 or less") as error:
        leave_least_in_float(split, layers.quantizable, Scheme(scales), frames, 0.0)
    assert error.value.exit_code == 1


def test_a_graph_with_next_to_nothing_in_int8_keeps_no_limit(parts, frames):
    split, layers, scales = parts
    scheme = Scheme(scales)
    reference = run_graph(split, frames).maps
    alone = {
        layer.name: map_noise(reference, run_graph(quantize(split, scheme, [layer]), frames).maps)
        for layer in layers.quantizable
    }
    slightest = min(alone, key=lambda name: alone[name])
    work = [layer._replace(macs=1 if layer.name == slightest else 1000) for layer in layers.quantizable]
    with pytest.raises(DriftError, match="with at least 1% of the work in INT8"):
        leave_least_in_float(split, work, scheme, frames, 1.0001 * alone[slightest])


def test_of_two_layers_that_hurt_alike_the_cheaper_one_is_left_in_float(parts, frames):
    split, layers, scales = parts
    few = frames[:2]
    reference = run_graph(split, few).maps
    cheap, dear = (
        next(layer for layer in layers.quantizable if layer.name == name) for name in ("teacher.6", "teacher.3")
    )
    assert 4 * cheap.macs < dear.macs

    def spoiled(layer, factor):
        return scales | {layer.activation: factor * scales[layer.activation]}

    def noise(found, chosen):
        return map_noise(reference, run_graph(quantize(split, Scheme(found), chosen), few).maps)

    # The dear one is made to hurt a little more than the cheap one.
    wanted = 1.2 * noise(spoiled(cheap, 8), [cheap])
    factor = next(factor for factor in range(2, 200) if noise(spoiled(dear, factor), [dear]) > wanted)
    both = spoiled(cheap, 8) | {dear.activation: factor * scales[dear.activation]}
    limit = 1.1 * noise(both, [layer for layer in layers.quantizable if layer != cheap])
    found = leave_least_in_float(split, layers.quantizable, Scheme(both), few, limit)
    assert found.in_float == ["teacher.6"]
    assert next(iter(found.alone)) == "teacher.3"


def test_biases_are_corrected_by_the_mean_over_images_whatever_the_batch(trained_run, parts, elpv_images):
    scales = parts[2]
    frames = read_frames(elpv_images[:5], 64)
    frames[4] = 255 - frames[4]  # The last is another: counted as often as a whole batch, it would show.
    corrections = []
    for batch in (1, 4):
        graph = split_concatenated(build_graph(load_run(trained_run)[0], 64, batch, 18))
        layers = find_layers(graph).quantizable
        own = {layer.activation: max(scales.values()) for layer in layers}
        found = bias_corrections(graph, layers, Scheme(own), frames)
        corrections.append({layer.name: found[layer.node] for layer in layers})
    by_ones, by_fours = corrections
    for name, expected in by_ones.items():
        assert np.abs(by_fours[name] - expected).max() < 0.02 * np.abs(expected).max(), name
