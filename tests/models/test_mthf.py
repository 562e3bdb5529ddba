from math import sqrt

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.models.attention import HAM
from edgekd.models.detector import Batch
from edgekd.models.mthf import MTHF, PAPER_LIKE_GROUPS, FeatureFusion, GroupStudent

from .detector_tester import DetectorTester

ONE = ("efficientnet_lite0",)
TWO = ("efficientnet_lite0", "pdn_small")
WIDTHS = (4, 6, 8)


class TestMTHF(DetectorTester):
    system = "mthf"
    settings = (("groups", ("efficientnet_lite0", "pdn_small")),)
    illegal_size = 100
    nearest_legal_sizes = (96, 128)


class TestMTHFWithoutItsModules(DetectorTester):
    system = "mthf"
    settings = (("groups", ("mobilenet_v2",)), ("attention", False), ("fusion", False), ("two_stage", False))
    illegal_size = 1
    nearest_legal_sizes = (64,)


class GivenTrunk(nn.Module):
    """A trunk whose scales are the images it is given, so that a test chooses them."""

    def __init__(self):
        super().__init__()
        self.truncated_behind = None

    def truncate(self, stride):
        self.truncated_behind = stride

    def features(self, images, strides):
        assert strides == (4, 8, 16)
        return list(images)


@pytest.fixture(scope="module")
def built():
    torch.manual_seed(0)
    return {groups: MTHF(64, groups).eval() for groups in (ONE, TWO)}


def lent(detector):
    """A detector whose ranges and gradients are put back after a test."""
    before = detector.ranges.clone()
    yield detector
    detector.ranges.copy_(before)
    detector.zero_grad(set_to_none=True)


@pytest.fixture
def single(built):
    """A detector of one group."""
    yield from lent(built[ONE])


@pytest.fixture
def double(built):
    """A detector of two groups."""
    yield from lent(built[TWO])


def random_scales():
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(1, width, side, side, generator=generator) for width, side in zip(WIDTHS, (8, 4, 2), strict=True)
    ]


def drawn_student(attention, fusion):
    torch.manual_seed(0)
    return GroupStudent(GivenTrunk(), WIDTHS, attention, fusion).eval().requires_grad_(False)


def vectors(*cosines):
    """A map [1, 2, 1, W] with these cosines to (1, 0), longer from place to place."""
    columns = [(length * c, length * sqrt(1 - c * c)) for length, c in enumerate(cosines, start=1)]
    return torch.tensor(columns).T.reshape(1, 2, 1, -1)


def maps_of_distances(distances):
    """A student's map [N, 2, H, W] that lies these cosine distances from (1, 0)."""
    return torch.stack([1 - distances, (1 - (1 - distances) ** 2).clamp_min(0).sqrt()], dim=1)


def groups_disagree(monkeypatch, detector, *groups):
    """Makes the scales of each group disagree by these distances, [N, H, W] each."""
    for name, scales in zip(detector.groups, groups, strict=True):
        teacher = [torch.tensor([2.0, 0.0]).view(1, 2, 1, 1).expand(len(d), 2, *d.shape[1:]) for d in scales]
        student = [maps_of_distances(distances) for distances in scales]
        monkeypatch.setattr(detector.teacher[name], "forward", lambda images, teacher=teacher: teacher)
        monkeypatch.setattr(detector.students[name], "forward", lambda images, student=student: student)


@pytest.mark.parametrize(("changed", "stirred"), [(0, [0]), (1, [0, 1]), (2, [0, 1, 2])])
def test_fusion_runs_from_the_coarsest_scale_to_the_finest(changed, stirred):
    student, scales = drawn_student(attention=False, fusion=True), random_scales()
    before = student(scales)
    scales[changed] = scales[changed] + 1
    after = student(scales)
    assert [index for index in range(3) if not torch.equal(before[index], after[index])] == stirred
    assert [entry.shape for entry in after] == [scale.shape for scale in scales]


def test_a_scale_is_fused_with_the_next_coarser_one_of_twice_the_stride():
    torch.manual_seed(0)
    module, x, coarser = FeatureFusion(4, 6).eval(), torch.randn(2, 4, 4, 4), torch.randn(2, 6, 2, 2)
    wide, norm, _, narrow = module.fuse
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.normal_(norm.running_mean)
    assert module.lateral.weight.shape == (4, 6, 1, 1)
    assert (wide.weight.shape, narrow.weight.shape) == ((4, 8, 3, 3), (4, 4, 1, 1))
    assert wide.bias is None
    assert narrow.bias is not None
    with torch.no_grad():
        lateral = torch.einsum("oi,nihw->nohw", module.lateral.weight[:, :, 0, 0], coarser)
        upsample = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # Half-pixel centres, 2 cells to 4.
        hidden = functional.conv2d(torch.cat([x, upsample @ lateral @ upsample.T], dim=1), wide.weight, padding=1)
        hidden = (hidden - norm.running_mean.view(1, -1, 1, 1)) / (norm.running_var.view(1, -1, 1, 1) + norm.eps).sqrt()
        expected = torch.einsum("oi,nihw->nohw", narrow.weight[:, :, 0, 0], hidden.clamp_min(0))
        torch.testing.assert_close(module(x, coarser), expected + narrow.bias.view(1, -1, 1, 1))


def test_the_coarsest_scale_is_fused_with_nothing():
    coarsest = drawn_student(attention=False, fusion=True).fusions[2]
    assert coarsest.lateral is None
    assert coarsest.fuse[0].weight.shape == (8, 8, 3, 3)


def test_attention_comes_before_fusion():
    student, scales = drawn_student(attention=True, fusion=True), random_scales()
    attended = [attend(scale) for attend, scale in zip(student.attentions, scales, strict=True)]
    third = student.fusions[2](attended[2], None)
    second = student.fusions[1](attended[1], third)
    expected = [student.fusions[0](attended[0], second), second, third]
    assert all(torch.equal(one, other) for one, other in zip(student(scales), expected, strict=True))


@pytest.mark.parametrize(("channels", "hidden"), [(24, 8), (128, 8), (256, 16)])
def test_hybrid_attention_gates_channels_by_mean_and_maximum_and_then_places(channels, hidden):
    torch.manual_seed(0)
    ham, x = HAM(channels), torch.randn(2, channels, 5, 5)
    assert ham.squeeze.weight.shape == (hidden, channels, 1, 1)
    assert all(layer.bias is None for layer in ham.modules() if isinstance(layer, nn.Conv2d))
    with torch.no_grad():
        squeeze, excite = ham.squeeze.weight[:, :, 0, 0], ham.excite.weight[:, :, 0, 0]
        gates = [torch.relu(pooled @ squeeze.T) @ excite.T for pooled in (x.mean((2, 3)), x.amax((2, 3)))]
        gated = x * torch.sigmoid(gates[0] + gates[1])[:, :, None, None]
        statistics = torch.stack([gated.mean(1), gated.amax(1)], dim=1)
        places = functional.conv2d(statistics, ham.spatial.weight, padding=3)
        torch.testing.assert_close(ham(x), gated * torch.sigmoid(places))


def test_without_attention_and_fusion_the_students_answer_with_their_trunks_maps():
    bare, scales = drawn_student(attention=False, fusion=False), random_scales()
    assert bare.attentions is None
    assert bare.fusions is None
    assert all(answer is scale for answer, scale in zip(bare(scales), scales, strict=True))
    assert bare.trunk.truncated_behind == 16


@pytest.mark.parametrize(("attention", "fusion"), [(True, True), (False, True), (True, False), (False, False)])
def test_the_ablation_switches_take_their_parts_away(attention, fusion):
    with torch.device("meta"):
        detector = MTHF(64, ONE, attention=attention, fusion=fusion)
    kinds = {kind: sum(isinstance(part, kind) for part in detector.modules()) for kind in (HAM, FeatureFusion)}
    assert kinds == {HAM: 3 * attention, FeatureFusion: 3 * fusion}


def test_the_paper_like_groups_have_scales_at_a_quarter_an_eighth_and_a_sixteenth():
    with torch.device("meta"):
        detector = MTHF(256, PAPER_LIKE_GROUPS).eval()
        images = torch.empty(1, 3, 256, 256)
    widths = {"resnet18": (64, 128, 256), "mobilenet_v2": (24, 32, 96), "efficientnet_b0": (24, 40, 112)}
    assert detector.groups == tuple(widths)
    for name, own in widths.items():
        shapes = [(1, width, side, side) for width, side in zip(own, (64, 32, 16), strict=True)]
        assert [scale.shape for scale in detector.teacher[name](images)] == shapes
        assert [scale.shape for scale in detector.students[name](images)] == shapes


def test_a_student_starts_with_weights_of_its_own(single):
    teacher, student = single.teacher[ONE[0]].backbone.state_dict(), single.students[ONE[0]].trunk.state_dict()
    weights = [key for key in student if student[key].dim() == 4]
    assert set(student) == set(teacher)
    assert not any(torch.equal(student[key], teacher[key]) for key in weights)


def test_the_loss_averages_over_places_and_sums_over_scales_and_groups(monkeypatch, double):
    answers = {
        TWO[0]: [vectors(1, 0.6), vectors(0), vectors(-1)],
        TWO[1]: [vectors(0.8, 0, 0, 0), vectors(1), vectors(0.5)],
    }
    for name, student in double.students.items():
        monkeypatch.setattr(student, "forward", lambda images, name=name: answers[name])
    targets = tuple(torch.tensor([3.0, 0.0]).view(1, 2, 1, 1).expand(a.shape) for own in answers.values() for a in own)
    expected = 0.4 / 2 + 1 + 2 + (0.2 + 1 + 1 + 1) / 4 + 0 + 0.5
    assert double.training_loss(Batch(torch.zeros(1, 3, 64, 64), targets)).item() == pytest.approx(expected)


def test_targets_come_group_after_group_finest_first(double):
    images = torch.randn(1, 3, 64, 64)
    expected = [scale for name in TWO for scale in double.teacher[name](images)]
    assert all(torch.equal(one, other) for one, other in zip(double.targets(images), expected, strict=True))
    assert [scale.shape[2] for scale in expected] == [16, 8, 4] * 2


@pytest.mark.parametrize("learner", [0, 1])
def test_what_one_group_learns_does_not_depend_on_the_others(learner):
    torch.manual_seed(0)
    detector, images, gradients = MTHF(64, TWO).eval(), torch.randn(1, 3, 64, 64), []
    for _ in range(2):
        loss = detector.training_loss(Batch(images))
        gradients.append(torch.autograd.grad(loss, list(detector.students[TWO[learner]].parameters())))
        with torch.no_grad():
            for part in (detector.students, detector.teacher):
                for parameter in part[TWO[1 - learner]].parameters():
                    parameter.mul_(1.2)
    assert all(torch.equal(first, second) for first, second in zip(*gradients, strict=True))


UPSAMPLE = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # Bilinear, half-pixel centres, 2 cells to 4.
FINE = torch.linspace(0.1, 1.9, 16).view(1, 4, 4)
MIDDLE = torch.tensor([[[0.0, 1.0], [2.0, 0.5]]])
COARSE = torch.tensor([[[0.5]]])


@pytest.mark.parametrize("how", ["product", "sum", "area"])
def test_the_first_stage_multiplies_adds_or_weighs_the_scales_on_the_finest_grid(monkeypatch, single, how):
    monkeypatch.setattr(single, "scale_fusion", how)
    groups_disagree(monkeypatch, single, [FINE, MIDDLE, COARSE])
    upsampled = UPSAMPLE @ MIDDLE @ UPSAMPLE.T
    (group,) = single.group_maps(torch.zeros(1, 3, 16, 16))
    expected = {
        "product": FINE * upsampled * 0.5,
        "sum": FINE + upsampled + 0.5,
        "area": (FINE + 4 * upsampled + 16 * 0.5) / 21,  # A place stands for 4 x 4, 8 x 8 and 16 x 16 pixels.
    }
    torch.testing.assert_close(group, expected[how])


def test_a_product_is_zero_where_any_scale_agrees_and_a_sum_is_not(monkeypatch, single):
    fine = torch.ones(1, 4, 4)
    fine[0, 1, 2] = 0
    groups_disagree(monkeypatch, single, [fine, torch.ones(1, 2, 2), torch.ones(1, 1, 1)])
    (product,) = single.group_maps(torch.zeros(1, 3, 16, 16))
    assert torch.equal((product == 0).nonzero(), torch.tensor([[0, 1, 2]]))
    monkeypatch.setattr(single, "scale_fusion", "sum")
    (total,) = single.group_maps(torch.zeros(1, 3, 16, 16))
    assert total[0, 1, 2].item() == 2


def from_colours(images):
    """Maps of two groups, made from an image's colours, of ranges far apart."""
    return [images[:, 0] ** 2, 10 * images[:, 1] + 3]


@pytest.fixture
def fitted(monkeypatch, double):
    """The detector with its quantiles fitted on five images, and the images."""
    monkeypatch.setattr(double, "group_maps", from_colours)
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    double.fit_quantiles(iter(images.split(1)))
    return double, images


def test_fitting_takes_two_quantiles_of_each_group_over_all_pixels_of_all_images(fitted):
    detector, images = fitted
    for measured, maps in zip(detector.ranges, from_colours(images), strict=True):
        torch.testing.assert_close(measured, torch.quantile(maps.flatten(), torch.tensor([0.9, 0.995])))


@pytest.mark.parametrize(
    ("how", "fuse"),
    [
        ("mean", lambda a, b: (a + b) / 2),
        ("max", np.maximum),
        ("product", lambda a, b: np.maximum(a, 0) * np.maximum(b, 0)),
    ],
)
def test_the_second_stage_fuses_groups_whose_quantiles_lie_at_0_and_a_tenth(monkeypatch, fitted, how, fuse):
    detector, images = fitted
    monkeypatch.setattr(detector, "group_fusion", how)
    scaled = []
    for maps in from_colours(images):
        low, high = np.quantile(maps.double().numpy(), (0.9, 0.995))
        scaled.append(0.1 * (maps.double().numpy() - low) / (high - low))
    np.testing.assert_allclose(detector.fused_map(images).numpy(), fuse(*scaled), rtol=1e-4, atol=1e-5)


def test_one_group_alone_is_scaled_and_nothing_else(monkeypatch, single):
    monkeypatch.setattr(single, "group_maps", lambda images: from_colours(images)[:1])
    single.ranges.copy_(torch.tensor([[0.5, 2.5]]))
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(single.fused_map(images), 0.1 * (images[:, 0] ** 2 - 0.5) / 2)


def test_in_one_stage_all_scales_of_all_groups_count_alike_and_no_quantiles_are_fitted(monkeypatch):
    torch.manual_seed(0)
    detector = MTHF(64, TWO, scale_fusion="product", two_stage=False).eval()
    generator = torch.Generator().manual_seed(0)
    scales = [[2 * torch.rand(1, side, side, generator=generator) for side in (4, 2, 1)] for _ in TWO]
    groups_disagree(monkeypatch, detector, *scales)

    def nobody_looks():
        raise AssertionError("an image was looked at")
        yield

    detector.fit_quantiles(nobody_looks())
    upsampled = [[fine, UPSAMPLE @ middle @ UPSAMPLE.T, coarse.expand(1, 4, 4)] for fine, middle, coarse in scales]
    mean = torch.stack([scale for group in upsampled for scale in group]).mean(0)
    # Three scales a group, times the tenth that stands for a quantile's place.
    torch.testing.assert_close(detector.fused_map(torch.zeros(1, 3, 16, 16)), 0.3 * mean)


def test_the_map_is_resized_and_smoothed_and_the_score_is_its_largest_pixel(monkeypatch, single):
    fused = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.3
    monkeypatch.setattr(single, "fused_map", lambda images: fused)
    images = torch.zeros(2, 3, 64, 64)
    upsampled = functional.interpolate(fused[:, None], (64, 64), mode="bilinear", align_corners=False)[:, 0]
    expected = np.stack([gaussian_filter(entry.double().numpy(), 4.0) for entry in upsampled])
    np.testing.assert_allclose(single.anomaly_map(images).numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(single.image_scores(images).numpy(), expected.max((1, 2)), rtol=1e-4)


@pytest.mark.parametrize("groups", [(), ("resnet18", "resnet18"), ("resnet18", "pdn_small", "resnet18")])
def test_no_groups_or_the_same_one_twice_are_refused(groups):
    with pytest.raises(EdgekdError, match="mthf takes one teacher or several different ones, got "):
        MTHF(64, groups)


def test_a_backbone_that_there_is_not_is_refused_and_the_nearest_is_named():
    with pytest.raises(EdgekdError, match="efficientnet_lite0"):
        MTHF(64, ["efficientnet_light0"])


@pytest.mark.parametrize("settings", [{"scale_fusion": "mean"}, {"group_fusion": "sum"}])
def test_fusions_that_there_are_not_are_refused(settings):
    with pytest.raises(EdgekdError, match="scale_fusion=product, sum or area, and group_fusion=mean, max or product"):
        MTHF(64, ONE, **settings)
