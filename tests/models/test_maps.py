import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from edgekd.models.maps import (
    SeparableMap,
    cosine_distance,
    gaussian_matrix,
    normalised,
    quantiles_of,
    resize_and_smooth,
    resize_matrix,
    scores_of,
    smoothed,
    smoothing,
)


def test_cosine_distance_is_0_along_1_across_and_2_against_at_any_length_and_half_for_nothing():
    teacher = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    for student, expected in (([5.0, 0.0], 0), ([0.0, 0.1], 1), ([-3.0, 0.0], 2), ([0.0, 0.0], 0.5)):
        distance = cosine_distance(teacher, torch.tensor(student).view(1, 2, 1, 1))
        assert distance.shape == (1, 1, 1)
        assert float(distance) == pytest.approx(expected, abs=1e-6)


def test_a_position_without_features_has_a_derivative():
    x = torch.zeros(1, 3, 1, 1, requires_grad=True)
    normalised(torch.relu(x)).sum().backward()
    assert torch.equal(x.grad, torch.zeros(1, 3, 1, 1))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 9), (16, 64), (9, 4), (1, 3), (5, 5)])
def test_a_resize_matrix_does_what_torch_does(mode, inputs, outputs):
    x = torch.randn(inputs, inputs, dtype=torch.float64)
    matrix = resize_matrix(inputs, outputs, mode)
    expected = functional.interpolate(x[None, None], (outputs, outputs), mode=mode, align_corners=False)[0, 0]
    torch.testing.assert_close(matrix @ x @ matrix.T, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "sigma"), [(40, 4.0), (64, 2.0), (5, 4.0), (1, 2.0)])
def test_a_gaussian_matrix_does_what_scipy_does_at_the_ends_too(size, sigma):
    x = np.random.default_rng(0).normal(size=(size, size))
    matrix = gaussian_matrix(size, sigma).numpy()
    np.testing.assert_allclose(matrix @ x @ matrix.T, gaussian_filter(x, sigma), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 40), (24, 40), (40, 7)])
def test_smoothing_is_what_scipy_does(shape):
    x = np.random.default_rng(0).normal(size=(2, *shape))
    expected = np.stack([gaussian_filter(entry, 3.0) for entry in x])
    np.testing.assert_allclose(smoothed(torch.from_numpy(x), 3.0).numpy(), expected, rtol=1e-10, atol=1e-12)
    maps = torch.from_numpy(x).float()
    np.testing.assert_allclose(smoothing(shape, 3.0)(maps).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("inputs", "outputs"), [((16, 16), (64, 64)), ((16, 24), (64, 96)), ((24, 16), (96, 64))])
def test_resizing_and_smoothing_in_one_is_one_after_the_other(inputs, outputs):
    x = torch.rand(2, *inputs)
    resized = functional.interpolate(x[None], outputs, mode="bilinear", align_corners=False)[0].numpy()
    expected = np.stack([gaussian_filter(entry, 4.0) for entry in resized])
    np.testing.assert_allclose(resize_and_smooth(inputs, outputs, 4.0)(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_separable_map_counts_both_products():
    # [2, 5 x 4] times [4 x 4] maps: 2 maps of 4 x 4 x 5, then of 5 x 4 x 5.
    square = SeparableMap(torch.ones(5, 4), torch.ones(5, 4))
    assert square.macs(torch.empty(2, 4, 4)) == 2 * (4 * 4 * 5 + 5 * 4 * 5)
    # Of maps of 4 x 3 first each row by its 3 inputs to 7 outputs, then each of 7 columns by its 4 inputs to 5.
    wide = SeparableMap(torch.ones(5, 4), torch.ones(7, 3))
    assert wide(torch.ones(2, 4, 3)).shape == (2, 5, 7)
    assert wide.macs(torch.empty(2, 4, 3)) == 2 * (4 * 7 * 3 + 5 * 7 * 4)


def test_quantiles_are_over_all_pixels_of_all_maps():
    maps = [torch.rand(1, 3, 3), torch.rand(1, 3, 3) + 5, torch.rand(1, 3, 3)]
    expected = np.quantile(torch.cat(maps).numpy(), (0.5, 0.9))
    assert quantiles_of(maps, (0.5, 0.9)) == pytest.approx(tuple(expected))


def test_a_score_is_the_largest_value_or_the_mean_of_the_highest_hundredth():
    maps = torch.zeros(2, 20, 20)
    maps[0, 3, 5], maps[1, :2, :2] = 8.0, 2.0
    assert scores_of(maps, "max").tolist() == [8, 2]
    assert scores_of(maps, "top_percent").tolist() == [2, 2]  # Of four values.
    assert scores_of(maps[:, :6, :6], "top_percent").tolist() == [8, 2]  # Of one at least.
