from functools import cache
from math import log, sqrt

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.models.detector import Batch
from edgekd.models.dskd import DSKD, Block, Gate, ReverseLayer, UpBlock
from edgekd.models.registry import find_system

from .detector_tester import DetectorTester
from .written_out import drawn, normalise_batch, pointwise


class TestDSKD(DetectorTester):
    system = "dskd"
    settings = (("backbone", "resnet18"),)
    illegal_size = 250
    nearest_legal_sizes = (224, 256)


class TestDSKDOnALightBackbone(DetectorTester):
    system = "dskd"
    settings = (("backbone", "efficientnet_lite0"), ("fusion", "manual"))
    illegal_size = 33
    nearest_legal_sizes = (32, 64)


@pytest.fixture(scope="module")
def built():
    torch.manual_seed(0)
    return DSKD(64, "efficientnet_lite0").eval()


@pytest.fixture
def light(built):
    """A detector with real weights; those of its fusion, and gradients, are put back after a test."""
    before = built.fusion.weight.detach().clone()
    yield built
    built.fusion.weight.data.copy_(before)
    built.zero_grad(set_to_none=True)


@cache
def on_meta(backbone="wide_resnet50_2"):
    """A detector without values, where shapes are all that matters."""
    with torch.device("meta"):
        return DSKD(256, backbone).eval()


def mixed(layers, x):
    """A 1 x 1 convolution without bias and a batch norm in eval mode, written out."""
    convolution, norm = layers[0], layers[1]
    assert convolution.bias is None
    return normalise_batch(norm, pointwise(convolution, x))


def recorded(module, calls):
    """Notes what a module is given and what it says."""
    module.register_forward_hook(lambda module, given, output: calls.append((given, output)))
    return calls


def students_say(monkeypatch, detector, forward, reverse):
    """Makes both students answer with these maps."""
    monkeypatch.setattr(detector.students["forward_student"], "forward", lambda images: forward)
    monkeypatch.setattr(detector.students["reverse_student"], "forward", lambda targets: reverse)


def vectors(*cosines):
    """A map [1, 2, 1, W] with these cosines to (1, 0), longer from place to place."""
    columns = [(length * c, length * sqrt(1 - c * c)) for length, c in enumerate(cosines, start=1)]
    return torch.tensor(columns).T.reshape(1, 2, 1, -1)


def test_the_gate_judges_by_both_maps_and_lets_pass_of_the_encoded_one():
    gate, decoded, encoded = drawn(Gate(6, 4, 3)), torch.randn(2, 6, 5, 5), torch.randn(2, 4, 5, 5)
    hidden = torch.relu(mixed(gate.of_decoded, decoded) + mixed(gate.of_encoded, encoded))
    opening = mixed(gate.gate, hidden).sigmoid()
    assert opening.shape == (2, 1, 5, 5)
    torch.testing.assert_close(gate(decoded, encoded), encoded * opening)


@pytest.mark.parametrize("bottleneck", [True, False])
def test_the_up_blocks_shortcut_reads_what_was_decoded_alone(bottleneck):
    block, shortcuts, mains = drawn(UpBlock(12, 10, 8, bottleneck)), [], []
    recorded(block.shortcut, shortcuts)
    recorded(block.widen, mains)
    decoded = torch.randn(1, 12, 3, 3)
    answers = [block(decoded, extra) for extra in (torch.randn(1, 10, 3, 3), torch.randn(1, 10, 3, 3))]
    assert all(given[0] is decoded for given, _ in shortcuts)
    assert torch.equal(shortcuts[0][1], shortcuts[1][1])
    assert not torch.equal(answers[0], answers[1])
    for answer, (_, main), (_, shortcut) in zip(answers, mains, shortcuts, strict=True):
        assert answer.shape == (1, 8, 6, 6)
        assert torch.equal(answer, (main + shortcut).clamp_min(0))


def test_a_bottleneck_reads_the_concatenation_in_its_outermost_convolution():
    inner = UpBlock(12, 10, 8, bottleneck=True)
    assert [
        tuple(layer.weight.shape) for layer in (inner.reduce[0], inner.up[0], inner.widen[0], inner.shortcut[0])
    ] == [
        (4, 12 + 10, 1, 1),
        (4, 4, 2, 2),  # Transposed convolutions name inputs first.
        (8, 4, 1, 1),
        (12, 8, 2, 2),
    ]
    kernels = [layer.weight.shape for layer in Block(8, bottleneck=True).modules() if isinstance(layer, nn.Conv2d)]
    assert kernels == [(4, 8, 1, 1), (4, 4, 3, 3), (8, 4, 1, 1)]
    kernels = [layer.weight.shape for layer in Block(8, bottleneck=False).modules() if isinstance(layer, nn.Conv2d)]
    assert kernels == [(8, 8, 3, 3), (8, 8, 3, 3)]


def test_a_further_block_adds_its_input():
    block, x = drawn(Block(8, bottleneck=True)), torch.randn(1, 8, 4, 4)
    for norm in (layer for layer in block.main[-1] if isinstance(layer, nn.BatchNorm2d)):
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)
    assert torch.equal(block(x), x.clamp_min(0))


def test_the_encoded_map_is_read_at_two_scales_and_gated_on_the_decoded_grid():
    layer, gated, gates = drawn(ReverseLayer(4, 12, 2, bottleneck=False)), [], []
    recorded(layer.attention, gated)
    recorded(layer.up, gates)
    encoded, decoded = torch.randn(1, 4, 8, 8), torch.randn(1, 12, 4, 4)
    assert layer(decoded, encoded).shape == encoded.shape
    ((attended_decoded, scales), answer), ((given_decoded, extra), _) = gated[0], gates[0]
    assert attended_decoded is given_decoded is decoded
    assert extra is answer
    near, far = layer.near, layer.far
    assert (near[0].kernel_size, far[0].kernel_size) == ((3, 3), (7, 7))
    # At one place, written out: rows and columns 4, so 3 to 5 of the map and 1 to 7.
    for half, (convolution, norm), reach in ((scales[0, :4], near, 1), (scales[0, 4:], far, 3)):
        window = encoded[0, :, 4 - reach : 5 + reach, 4 - reach : 5 + reach]
        value = (convolution.weight * window).sum((1, 2, 3))
        value = (value - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        torch.testing.assert_close(half[:, 2, 2], value)
    assert scales.shape == (1, 8, 4, 4)


@pytest.mark.parametrize(
    ("backbone", "widths", "repeats", "bottleneck"),
    [
        ("wide_resnet50_2", (256, 512, 1024, 2048), [3, 4, 6], True),
        ("resnet18", (64, 128, 256, 512), [2, 2, 2], False),
        ("efficientnet_lite0", (24, 40, 112, 320), [2, 2, 2], False),
    ],
)
def test_the_students_maps_have_the_shapes_of_the_teachers(backbone, widths, repeats, bottleneck):
    detector, images, gated = on_meta(backbone), torch.empty(2, 3, 256, 256, device="meta"), []
    targets = detector.teacher(images)
    shapes = [(2, width, 256 // stride, 256 // stride) for width, stride in zip(widths, (4, 8, 16, 32), strict=True)]
    assert [entry.shape for entry in targets] == shapes
    assert [entry.shape for entry in detector.students["forward_student"](images)] == shapes[:3]
    reverse = detector.students["reverse_student"]
    for layer in reverse.layers:
        recorded(layer.attention, gated)
    assert [entry.shape for entry in reverse(targets)] == shapes[:3]
    assert gated[0][0][0] is targets[3]
    # Z has 2 C_t channels on the grid of D^{t+1}, whose width is C_{t+1}; deepest first.
    for (given, _), t in zip(gated, (2, 1, 0), strict=True):
        assert given[0].shape == shapes[t + 1]
        assert given[1].shape == (2, 2 * widths[t], *shapes[t + 1][2:])
    for layer, count, t in zip(reverse.layers, repeats, (2, 1, 0), strict=True):
        assert 1 + len(layer.blocks) == count
        assert all((len(block.main) == 3) == bottleneck for block in layer.blocks)
        assert layer.attention.of_decoded[0].out_channels == widths[t] // 2


def test_each_layer_decodes_what_the_one_below_it_said(monkeypatch, light):
    reverse, calls = light.students["reverse_student"], []
    for layer in reverse.layers:

        def spy(decoded, encoded, forward=layer.forward):
            calls.append((decoded, encoded, forward(decoded, encoded)))
            return calls[-1][2]

        monkeypatch.setattr(layer, "forward", spy)
    with torch.no_grad():
        targets = light.targets(torch.randn(1, 3, 64, 64))
        maps = reverse(targets)
    decoded, encoded, answers = zip(*calls, strict=True)
    assert [id(entry) for entry in decoded] == [id(targets[3]), id(answers[0]), id(answers[1])]
    assert [id(entry) for entry in encoded] == [id(targets[2]), id(targets[1]), id(targets[0])]
    assert [id(entry) for entry in maps] == [id(entry) for entry in reversed(answers)]


def test_the_forward_student_is_the_teachers_trunk_drawn_afresh(light):
    teacher, student = light.teacher.backbone.state_dict(), light.students["forward_student"].trunk.state_dict()
    assert set(student) < set(teacher)
    weights = [key for key in student if student[key].dim() == 4]
    assert all(student[key].shape == teacher[key].shape for key in weights)
    assert not any(torch.equal(student[key], teacher[key]) for key in weights)


# Maps of two places, one and one, for two students; the deepest target is compared with nothing.
FORWARD = (vectors(1, 0), vectors(0.6), vectors(-1))
REVERSE = (vectors(0, 0.8), vectors(0), vectors(1))
TARGETS = tuple(torch.tensor([3.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, width) for width in (2, 1, 1, 1))


def test_the_loss_averages_over_places_and_sums_over_maps_and_students(monkeypatch, light):
    students_say(monkeypatch, light, FORWARD, REVERSE)
    expected = (0 + 1) / 2 + 0.4 + 2 + (1 + 0.2) / 2 + 1 + 0
    batch = Batch(torch.zeros(1, 3, 64, 64), TARGETS)
    assert light.training_loss(batch).item() == pytest.approx(expected)
    other = (*TARGETS[:3], -TARGETS[3])
    assert light.training_loss(batch._replace(targets=other)).item() == pytest.approx(expected)


def test_flattened_a_whole_map_has_one_cosine_an_image(monkeypatch, light):
    monkeypatch.setattr(light, "flatten", True)
    # (1, 0), (1, 0) against (1, 0), (0, 2): 1 / sqrt(2 x 5); against (0, 1), (1.6, 1.2): 1.6 / sqrt(2 x 5).
    expected = (1 - 1 / sqrt(10)) + 0.4 + 2 + (1 - 1.6 / sqrt(10)) + 1 + 0
    students_say(monkeypatch, light, FORWARD, REVERSE)
    batch = Batch(torch.zeros(1, 3, 64, 64), TARGETS)
    assert light.training_loss(batch).item() == pytest.approx(expected, rel=1e-5)
    # A second image that agrees everywhere halves it: the mean over images, not one cosine of the batch.
    pairs = [
        tuple(torch.cat([entry, target]) for entry, target in zip(maps, TARGETS, strict=False))
        for maps in (FORWARD, REVERSE, TARGETS)
    ]
    students_say(monkeypatch, light, *pairs[:2])
    batch = Batch(torch.zeros(2, 3, 64, 64), pairs[2])
    assert light.training_loss(batch).item() == pytest.approx(expected / 2, rel=1e-5)


def test_flatten_is_switched_where_the_detector_is_made():
    assert not DSKD(64, "efficientnet_lite0", students="forward").flatten
    assert DSKD(64, "efficientnet_lite0", students="forward", flatten=True).flatten


@pytest.mark.parametrize(
    ("one", "other"), [("forward_student", "reverse_student"), ("reverse_student", "forward_student")]
)
def test_what_one_student_learns_does_not_depend_on_the_other(one, other):
    torch.manual_seed(0)
    detector, images, gradients = DSKD(64, "efficientnet_lite0").eval(), torch.randn(2, 3, 64, 64), []
    for _ in range(2):
        loss = detector.training_loss(Batch(images))
        gradients.append(torch.autograd.grad(loss, list(detector.students[one].parameters())))
        with torch.no_grad():
            for parameter in detector.students[other].parameters():
                parameter.mul_(1.5)
    assert all(torch.equal(first, second) for first, second in zip(*gradients, strict=True))


def test_the_fusion_starts_as_the_mean_of_six_maps_and_has_no_bias(light):
    assert light.fusion.bias is None
    assert light.fusion.weight.shape == (1, 6, 1, 1)
    torch.testing.assert_close(light.fusion.weight.detach().flatten(), torch.full((6,), 1 / 6))


@pytest.mark.parametrize(
    ("students", "fusion", "weights", "stages"),
    [
        ("both", "manual", [1 / 12] * 3 + [3 / 12] * 3, ["students"]),
        ("forward", "learned", [1 / 3] * 3, ["students", "fusion"]),
        ("reverse", "learned", [1 / 3] * 3, ["students", "fusion"]),
        ("reverse", "manual", [1 / 3] * 3, ["students"]),
        ("both", "area", [1 / 42, 4 / 42, 16 / 42] * 2, ["students"]),
        ("forward", "area", [1 / 21, 4 / 21, 16 / 21], ["students"]),
    ],
)
def test_the_ablations_leave_a_student_out_or_fix_the_weights(students, fusion, weights, stages):
    detector = DSKD(64, "efficientnet_lite0", students=students, fusion=fusion)
    named = {"both": {"forward student", "reverse student"}}.get(students, {f"{students} student"})
    assert set(detector.parts()) == {"teacher", "fusion"} | named
    torch.testing.assert_close(detector.fusion.weight.detach().flatten(), torch.tensor(weights))
    assert [stage.name for stage in detector.stages()] == stages
    assert detector.eval().scale_maps(torch.randn(1, 3, 64, 64)).shape == (1, len(weights), 64, 64)


@pytest.mark.parametrize("settings", [{"students": "none"}, {"students": "Forward"}, {"fusion": "max"}, {"fusion": ""}])
def test_switches_that_mean_nothing_are_refused(settings):
    with pytest.raises(EdgekdError, match="students=both, forward or reverse, and fusion=learned, manual or area"):
        DSKD(64, "efficientnet_lite0", **settings)


def test_the_maps_of_disagreement_come_forward_student_first_and_finest_first(monkeypatch, light):
    targets = tuple(torch.randn(2, 3, side, side) for side in (4, 2, 1, 1))
    reverse = tuple(-entry for entry in targets[:3])
    students_say(monkeypatch, light, (targets[0], targets[1], -2 * targets[2]), (2 * targets[0], *reverse[1:]))
    monkeypatch.setattr(light.teacher, "forward", lambda images: targets)
    maps = light.scale_maps(torch.zeros(2, 3, 64, 64))
    expected = torch.tensor([0.0, 0.0, 2.0, 0.0, 2.0, 2.0]).view(1, 6, 1, 1).expand(2, 6, 64, 64)
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-5)


def test_a_place_of_disagreement_grows_bilinearly_to_the_image(monkeypatch, light):
    targets = tuple(torch.ones(1, 3, side, side) for side in (2, 2, 2, 1))
    odd = torch.ones(1, 3, 2, 2)
    odd[:, :, 0, 1] = -1
    students_say(monkeypatch, light, [odd] * 3, targets[:3])
    monkeypatch.setattr(light.teacher, "forward", lambda images: targets)
    first = light.scale_maps(torch.zeros(1, 3, 4, 4))[0, 0]
    down, across = torch.tensor([1, 0.75, 0.25, 0]), torch.tensor([0, 0.25, 0.75, 1])
    torch.testing.assert_close(first, 2 * down[:, None] * across, rtol=0, atol=1e-6)


@pytest.mark.parametrize("students", ["both", "forward", "reverse"])
def test_deployed_it_weighs_each_map_on_its_own_grid_as_the_fusion_weighs_it_at_the_images_size(students):
    torch.manual_seed(3)
    detector = DSKD(64, "efficientnet_lite0", students).eval()
    with torch.no_grad():
        detector.fusion.weight.copy_(torch.linspace(-0.2, 0.9, detector.fusion.in_channels).view(1, -1, 1, 1))
        images = torch.randn(2, 3, 64, 64)
        scores, maps = detector.deployed().eval()(images)
    expected = detector.anomaly_map(images)
    assert expected.std() > 0
    torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-5 * float(expected.max() - expected.min()))
    torch.testing.assert_close(scores, detector.image_scores(images))


def test_the_map_is_smoothed_is_never_below_a_half_and_the_score_is_its_largest_pixel(monkeypatch, light):
    generator = torch.Generator().manual_seed(0)
    maps, weights = torch.rand(2, 6, 32, 32, generator=generator) * 2, torch.randn(6, generator=generator)
    monkeypatch.setattr(light, "scale_maps", lambda images: maps)
    light.fusion.weight.data.copy_(weights.view(1, 6, 1, 1))
    linear = (weights.view(1, 6, 1, 1) * maps).sum(1).numpy().astype(np.float64)
    fused = np.where(linear > 0, 1 / (1 + np.exp(-linear)), 0.5)
    assert 0.2 < (fused == 0.5).mean() < 0.95
    expected = np.stack([gaussian_filter(entry, 4.0) for entry in fused])
    answer = light.anomaly_map(torch.zeros(2, 3, 32, 32))
    np.testing.assert_allclose(answer.numpy(), expected, rtol=1e-5)
    assert float(answer.min()) >= 0.5
    np.testing.assert_allclose(light.image_scores(torch.zeros(2, 3, 32, 32)).numpy(), expected.max((1, 2)), rtol=1e-5)


def test_where_all_agree_the_map_is_a_half(monkeypatch, light):
    monkeypatch.setattr(light, "scale_maps", lambda images: torch.zeros(1, 6, 16, 16))
    torch.testing.assert_close(light.anomaly_map(torch.zeros(1, 3, 16, 16)), torch.full((1, 16, 16), 0.5))


def test_the_fusion_learns_by_the_dice_loss_over_the_whole_batch(monkeypatch, light):
    # sigmoid(ln 3) = 3 / 4, sigmoid(0) = 1 / 2.
    fused = log(3) * torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    given = []
    monkeypatch.setattr(light, "scale_maps", lambda images: given.append(images) or fused[:, None].expand(2, 6, 1, 2))
    masks = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    images, corrupted = torch.zeros(2, 3, 1, 2), torch.ones(2, 3, 1, 2)
    loss = light.fusion_loss(Batch(images, corrupted=corrupted, masks=masks))
    assert loss.item() == pytest.approx(1 - 2 * 0.75 / (2 * 0.75**2 + 2 * 0.5**2 + 1))
    assert given[0] is corrupted
    loss.backward()
    assert light.fusion.weight.grad is not None
    assert bool((light.fusion.weight.grad != 0).all())


def test_the_stages_are_the_papers(light):
    students, fusion = light.stages()
    training = find_system("dskd").training
    assert (students.name, fusion.name) == ("students", "fusion")
    assert (students.share, fusion.share) == (200, 10)
    assert training.epochs == 200 + 10
    assert students.trainable is light.students
    assert fusion.trainable is light.fusion
    assert students.rates == ()
    ((part, factor),) = fusion.rates
    assert part is light.fusion
    assert training.learning_rate == 0.005
    assert training.learning_rate * factor == pytest.approx(1e-3)
    assert (students.synthetic, fusion.synthetic) == (False, True)
    assert (students.needs_targets, fusion.needs_targets) == (True, False)
    assert training.betas == (0.5, 0.999)
