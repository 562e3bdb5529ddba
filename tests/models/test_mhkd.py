from functools import cache

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

from edgekd.models.detector import Batch
from edgekd.models.mhkd import MHKD, StudentOutput, pooled_encoder

from .detector_tester import DetectorTester

BLOCKS = ("structural_encoder", "semantic_encoder", "local_decoder", "global_decoder")


class TestMHKD(DetectorTester):
    system = "mhkd"
    settings = (("teacher", "pdn_small"),)
    illegal_size = 100
    nearest_legal_sizes = (64, 128)


class TestMHKDTaughtByABackbone(DetectorTester):
    system = "mhkd"
    settings = (("teacher", "efficientnet_lite0"), ("semantic_encoder", False), ("self_distillation", False))
    illegal_size = 30
    nearest_legal_sizes = (64,)


@pytest.fixture(scope="module")
def built():
    torch.manual_seed(0)
    return MHKD(64, teacher="pdn_small").eval()


@pytest.fixture
def small(built):
    """A detector with real weights; what it measures in a test is forgotten after it."""
    before = {name: buffer.clone() for name, buffer in built.named_buffers()}
    yield built
    for name, buffer in built.named_buffers():
        buffer.copy_(before[name])


@cache
def on_meta(size=256, **settings):
    """A detector without values, where shapes are all that matters."""
    with torch.device("meta"):
        return MHKD(size, **settings).eval()


def trace(network):
    """Sides of what every convolution and pool of a network says of an image, and its multiply-accumulates."""
    sides, macs = [], []

    def hook(module, inputs, output):
        sides.append(output.shape[2])
        if isinstance(module, nn.Conv2d):
            macs.append(output.numel() * module.weight[0].numel())

    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            layer.register_forward_hook(hook)
    return sides, macs


def parameters_of(network):
    return sum(parameter.numel() for parameter in network.parameters())


def student_says(monkeypatch, detector, encoded, whole, structure):
    """Makes the student answer with maps of these values, [1, 384, 4, 4] each; returns them."""
    maps = [
        torch.as_tensor(value).expand(1, 384, 4, 4).clone().requires_grad_() for value in (encoded, whole, structure)
    ]
    monkeypatch.setattr(detector.student, "forward", lambda images: StudentOutput(*maps))
    return StudentOutput(*maps)


@pytest.fixture(scope="module")
def traced():
    """What the blocks of the paper's student say of an image of 256 pixels."""
    student = on_meta().student
    traces = {block: trace(getattr(student, block)) for block in BLOCKS}
    student(torch.empty(1, 3, 256, 256, device="meta"))
    return traces


@pytest.mark.parametrize(
    ("block", "sides", "parameters", "gmacs"),
    [
        ("structural_encoder", [259, 130, 133, 133, 67, 67, 64, 64], 3_989_248, 24.343),
        ("semantic_encoder", [32, 16], 5_505_920, 3.221),
        ("local_decoder", [33, 64, 64, 64], 6_899_456, 15.641),
        ("global_decoder", [1, 4, 8, 32, 64, 64, 64, 64], 11_081_088, 10.619),
    ],
)
def test_every_block_has_its_sizes_and_its_counts(traced, block, sides, parameters, gmacs):
    seen, macs = traced[block]
    assert seen == sides
    assert parameters_of(getattr(on_meta().student, block)) == parameters
    assert round(sum(macs) / 1e9, 3) == gmacs


def test_the_teacher_is_a_padded_pdn_m_whose_grid_covers_the_image():
    teacher = on_meta().teacher
    seen, macs = trace(teacher)
    assert teacher(torch.empty(1, 3, 256, 256, device="meta")).shape == (1, 384, 64, 64)
    assert seen == [259, 130, 133, 67, 67, 67, 64, 64]
    assert parameters_of(teacher) == 8_026_624
    assert round(sum(macs) / 1e9, 3) == 63.177
    pools = [layer for layer in teacher if isinstance(layer, nn.AvgPool2d)]
    assert all(pool.count_include_pad for pool in pools)


@pytest.mark.parametrize(("width", "parameters"), [(384, 27_475_712), (512, 29_310_848)])
def test_the_middle_width_is_the_papers_or_the_released_codes(width, parameters):
    detector = on_meta(middle_width=width)
    assert detector.student.semantic_encoder[0].weight.shape == (width, 384, 4, 4)
    assert parameters_of(detector.student) == parameters


@pytest.mark.parametrize("semantic", [True, False])
def test_the_students_three_maps_have_the_teachers_shape(semantic):
    detector, images = on_meta(semantic_encoder=semantic), torch.empty(2, 3, 256, 256, device="meta")
    assert detector.teacher(images).shape == (2, 384, 64, 64)
    assert [entry.shape for entry in detector.student(images)] == [(2, 384, 64, 64)] * 3


def test_a_smaller_image_is_squeezed_through_64_numbers_too(small):
    seen = []
    bottleneck = small.student.global_decoder[0]
    handle = bottleneck.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with torch.no_grad(), handle:
        maps = small.student(torch.randn(1, 3, 64, 64))
    assert seen == [(1, 64, 1, 1)]
    assert [entry.shape for entry in maps] == [(1, 384, 16, 16)] * 3


def test_without_semantic_encoder_the_decoders_read_averages_of_4_x_4_patches():
    encoder = pooled_encoder()
    convolution = encoder[2]
    assert convolution.weight.shape == (512, 384, 1, 1)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[7, 3] = 1
        convolution.bias.zero_()
    features = torch.rand(1, 384, 8, 8)
    expected = torch.stack([features[0, 3, r : r + 4, c : c + 4].mean() for r in (0, 4) for c in (0, 4)])
    torch.testing.assert_close(encoder(features)[0, 7].flatten(), expected)


def test_both_decoders_read_the_semantic_encoder_and_it_reads_the_structural_one(monkeypatch, small):
    inputs = {}
    for name in BLOCKS:
        part = getattr(small.student, name)

        def spy(given, name=name, forward=part.forward):
            output = forward(given)
            inputs[name] = (given, output)
            return output

        monkeypatch.setattr(part, "forward", spy)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        output = small.student(images)
    assert inputs["structural_encoder"][0] is images
    assert inputs["semantic_encoder"][0] is output.encoded is inputs["structural_encoder"][1]
    for decoder, answer in (("local_decoder", output.structure), ("global_decoder", output.whole)):
        assert inputs[decoder][0] is inputs["semantic_encoder"][1]
        assert inputs[decoder][1] is answer


def test_the_student_computes_what_the_paper_lists_layer_by_layer(small):
    student, images = small.student, torch.randn(1, 3, 64, 64)

    def layers_of(block):
        convolutions = iter([layer for layer in block if isinstance(layer, nn.Conv2d)])

        def layer(x, padding=0, stride=1):
            convolution = next(convolutions)
            return functional.conv2d(x, convolution.weight, convolution.bias, stride, padding)

        return layer

    def upsampled(x, side):
        return functional.interpolate(x, (side, side), mode="bicubic", align_corners=False)

    with torch.no_grad():
        layer = layers_of(student.structural_encoder)
        encoded = functional.max_pool2d(layer(images, 3).relu(), 2, 2, 1)
        encoded = layer(encoded, 3).relu()
        encoded = functional.max_pool2d(layer(encoded, 1).relu(), 2, 2, 1)
        encoded = layer(layer(layer(encoded).relu()).relu())
        layer = layers_of(student.semantic_encoder)
        semantics = layer(layer(encoded, 1, 2).relu(), 1, 2).relu()
        layer = layers_of(student.local_decoder)
        structure = layer(upsampled(semantics, 8), 2).relu()
        structure = layer(upsampled(structure, 16), 1).relu()
        structure = layer(layer(structure).relu())
        layer = layers_of(student.global_decoder)
        whole = layer(semantics)
        for side in (1, 2, 8, 16):
            whole = layer(upsampled(whole, side), 1).relu()
        whole = layer(layer(layer(whole, 1).relu(), 1).relu(), 1)
        output = student(images)
    torch.testing.assert_close(output.encoded, encoded)
    torch.testing.assert_close(output.structure, structure)
    torch.testing.assert_close(output.whole, whole)


# The teacher says 2, once standardised. L_L = (2 - 0)^2, L_G = (2 - 5)^2, L_SG = (5 - 1)^2.
@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({}, 4 + 9 + 2 * 16),
        ({"local_weight": 0.5, "global_weight": 3.0, "self_weight": 0.25}, 0.5 * 4 + 3 * 9 + 0.25 * 16),
        ({"global_weight": 0.0, "self_weight": 0.0}, 4),
        ({"self_distillation": False}, 4 + 9),
    ],
)
def test_the_loss_is_the_papers_formula(monkeypatch, settings, loss):
    detector = MHKD(64, teacher="pdn_small", **settings)
    detector.standardised.mean.fill_(1.0)
    detector.standardised.std.fill_(2.0)
    student_says(monkeypatch, detector, encoded=1.0, whole=5.0, structure=0.0)
    teacher = torch.full((1, 384, 4, 4), 5.0)
    batch = Batch(torch.zeros(1, 3, 64, 64), detector.ready_targets((teacher,)))
    assert detector.training_loss(batch).item() == pytest.approx(loss)


def test_the_losses_are_means_over_positions_and_channels(monkeypatch, small):
    structure = torch.zeros(1, 384, 4, 4)
    structure[:, :96, :2] = 4.0  # A quarter of the channels at half of the positions: 16 / 8.
    student_says(monkeypatch, small, encoded=0.0, whole=0.0, structure=structure)
    teacher = torch.zeros(1, 384, 4, 4)
    assert small.training_loss(Batch(torch.zeros(1, 3, 64, 64), (teacher,))).item() == pytest.approx(2.0)


def test_self_distillation_teaches_both_of_its_sides(monkeypatch, small):
    monkeypatch.setattr(small, "weights", (0.0, 0.0, 3.0))
    output = student_says(monkeypatch, small, encoded=1.0, whole=5.0, structure=0.0)
    small.training_loss(Batch(torch.zeros(1, 3, 64, 64), (torch.zeros(1, 384, 4, 4),))).backward()
    slope = torch.full((1, 384, 4, 4), 3.0 * 2 * (5 - 1) / (384 * 4 * 4))
    torch.testing.assert_close(output.whole.grad, slope)
    torch.testing.assert_close(output.encoded.grad, -slope)
    assert float(output.structure.grad.abs().max()) == 0


@pytest.mark.parametrize(("self_distillation", "logical"), [(True, (5 - 1) ** 2), (False, (5 - 2) ** 2)])
def test_the_logical_map_compares_with_the_structural_encoder_or_with_the_teacher(
    monkeypatch, small, self_distillation, logical
):
    monkeypatch.setattr(small, "self_distillation", self_distillation)
    small.standardised.mean.fill_(1.0)
    small.standardised.std.fill_(2.0)
    monkeypatch.setattr(small.teacher, "forward", lambda images: torch.full((1, 384, 4, 4), 5.0))
    student_says(monkeypatch, small, encoded=1.0, whole=5.0, structure=0.0)
    structural_map, logical_map = small.patch_maps(torch.zeros(1, 3, 64, 64))
    assert torch.equal(structural_map, torch.full((1, 4, 4), 4.0))
    assert torch.equal(logical_map, torch.full((1, 4, 4), float(logical)))


def test_self_distillation_is_switched_where_the_detector_is_made():
    assert on_meta(64).self_distillation
    assert not on_meta(64, self_distillation=False).self_distillation


def test_dropout_stirs_the_decoders_in_training_alone(small):
    rates = [layer.p for layer in small.student.modules() if isinstance(layer, nn.Dropout)]
    assert rates == [0.2] * 6
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        small.student.train()
        first, second = small.student(images), small.student(images)
        small.student.eval()
        third, fourth = small.student(images), small.student(images)
    assert torch.equal(first.encoded, second.encoded)
    assert not torch.equal(first.whole, second.whole)
    assert not torch.equal(first.structure, second.structure)
    assert all(torch.equal(one, other) for one, other in zip(third, fourth, strict=True))


def test_preparing_measures_the_teachers_features_over_all_images(small):
    features = torch.randn(5, 384, 4, 4) * torch.linspace(0.5, 3, 384).view(-1, 1, 1) + 7
    small.prepare((part,) for part in torch.split(features, [1, 3, 1]))
    torch.testing.assert_close(small.standardised.mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(small.standardised.std, features.var((0, 2, 3), unbiased=False).sqrt())


@pytest.fixture
def fitted(monkeypatch, small):
    """The detector fitted on five images whose maps are made from their colours, and all pixels of both maps."""
    monkeypatch.setattr(small, "patch_maps", lambda images: (images[:, 0] ** 2, 10 * images[:, 1] + 3))
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    small.fit_quantiles(iter(images.split(1)))
    return small, images[:, 0] ** 2, 10 * images[:, 1] + 3


def test_before_its_quantiles_are_fitted_both_maps_weigh_the_same(monkeypatch, small):
    monkeypatch.setattr(small, "patch_maps", lambda images: (images[:, 0], images[:, 1]))
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(small.combined_map(images), 0.05 * (images[:, 0] + images[:, 1]))


def test_fitting_takes_two_quantiles_of_each_map_over_all_pixels_of_all_images(fitted):
    detector, structural, logical = fitted
    for measured, maps in zip(detector.ranges, (structural, logical), strict=True):
        torch.testing.assert_close(measured, torch.quantile(maps.flatten(), torch.tensor([0.9, 0.995])))


def test_a_fitted_map_is_half_of_each_with_its_quantiles_at_0_and_a_tenth(monkeypatch, fitted):
    detector, structural, logical = fitted
    low, high = torch.quantile(structural.flatten(), torch.tensor([0.9, 0.995]))
    logical_low, logical_high = torch.quantile(logical.flatten(), torch.tensor([0.9, 0.995]))
    monkeypatch.setattr(detector, "patch_maps", lambda images: (structural, logical))
    expected = 0.5 * 0.1 * (structural - low) / (high - low)
    expected = expected + 0.5 * 0.1 * (logical - logical_low) / (logical_high - logical_low)
    torch.testing.assert_close(detector.combined_map(torch.zeros(5, 3, 16, 16)), expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(detector, "patch_maps", lambda images: (structural, logical_low.expand_as(logical)))
    half = detector.combined_map(torch.zeros(5, 3, 16, 16)).flatten()
    assert float(torch.quantile(half, 0.9)) == pytest.approx(0, abs=1e-6)
    assert float(torch.quantile(half, 0.995)) == pytest.approx(0.05, rel=1e-4)


def test_fitting_quantiles_on_images_changes_neither_teacher_nor_student(small):
    before = {key: value.clone() for key, value in small.state_dict().items() if key != "ranges"}
    small.fit_quantiles(iter(torch.randn(2, 3, 64, 64).split(1)))
    assert all(torch.equal(small.state_dict()[key], value) for key, value in before.items())
    assert bool((small.ranges[:, 1] > small.ranges[:, 0]).all())
    assert not torch.equal(small.ranges[0], small.ranges[1])


def test_the_score_is_the_largest_pixel_before_smoothing_and_the_map_is_smoothed(monkeypatch, small):
    combined = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0))
    combined[1, 0, 9] = 30.0  # At the border, where the Gaussian mirrors.
    monkeypatch.setattr(small, "combined_map", lambda images: combined)
    images = torch.zeros(2, 3, 64, 64)
    upsampled = functional.interpolate(combined[:, None], (64, 64), mode="bilinear", align_corners=False)[:, 0]
    expected = np.stack([gaussian_filter(entry.double().numpy(), 2.0) for entry in upsampled])
    maps, scores = small.anomaly_map(images), small.image_scores(images)
    np.testing.assert_allclose(maps.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert scores.tolist() == upsampled.flatten(1).max(1).values.tolist()
    assert bool((scores > maps.flatten(1).max(1).values).all())
