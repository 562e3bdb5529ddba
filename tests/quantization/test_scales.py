import numpy as np
import pytest

from edgekd.precisions import CALIBRATION_METHODS
from edgekd.quantization.histogram import BINS, Histogram, observe
from edgekd.quantization.layers import find_layers
from edgekd.quantization.scales import entropy, min_max, percentile, scales_of


def histogram_of(*tensors):
    histogram = Histogram()
    for tensor in tensors:
        histogram.add(np.asarray(tensor, np.float32))
    return histogram


def test_a_histogram_counts_magnitudes_and_no_zeros():
    histogram = histogram_of([0.0, 1.0, -1.0, 0.25])
    assert histogram.counts.sum() == 3
    assert histogram.largest == 1.0


def test_a_histogram_doubles_its_range_and_loses_nothing():
    histogram = histogram_of(np.linspace(0.001, 1, 1000), [-7.5])
    assert histogram.counts.sum() == 1001
    assert histogram.limit == 8.0
    assert histogram.counts[: BINS // 8].sum() == 1000


def test_min_max_clips_nothing():
    assert min_max(histogram_of([0.1, -3.0, 2.0])) == 3.0


def test_percentile_and_entropy_clip_a_lone_outlier():
    values = np.random.default_rng(0).normal(size=200_000)
    histogram = histogram_of(values, [40.0])
    for limit in (percentile(histogram), entropy(histogram)):
        assert 2.5 < limit < 8
    assert min_max(histogram) == 40.0


def test_percentile_keeps_almost_all():
    values = np.random.default_rng(0).uniform(0, 1, 200_000)
    limit = percentile(histogram_of(values))
    assert np.mean(values > limit) == pytest.approx(1e-4, abs=6e-4)


def test_a_tensor_that_is_always_zero_has_a_scale():
    for method in CALIBRATION_METHODS:
        assert scales_of({"x": histogram_of(np.zeros(4))}, method)["x"] > 0


def test_what_is_observed_is_what_the_tensor_takes(float_graph, frames):
    layer = next(layer for layer in find_layers(float_graph).quantizable if layer.name == "teacher.3")
    one, all_eight = (observe(float_graph, [layer.activation], part)[layer.activation] for part in (frames[:1], frames))
    assert 0 < one.largest <= all_eight.largest
    assert one.counts.sum() < all_eight.counts.sum()
