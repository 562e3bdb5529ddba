import pytest
import torch
from torch import nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.models.attention import CBAM
from edgekd.models.detector import Batch
from edgekd.models.hkt import HKT, HKTStudent, Projector, StudentOutput, place_map

from .detector_tester import DetectorTester


class TestHKT(DetectorTester):
    system = "hkt"
    illegal_size = 66
    nearest_legal_sizes = (64, 68)


class TestHKTTaughtByABackbone(DetectorTester):
    system = "hkt"
    settings = (("teacher", "efficientnet_lite0"),)
    illegal_size = 68
    nearest_legal_sizes = (64, 80)


class TestHKTWithoutABorder(DetectorTester):
    system = "hkt"
    settings = (("border", False),)
    illegal_size = 66
    nearest_legal_sizes = (64, 68)


class TestHKTWithoutABorderTaughtByABackbone(DetectorTester):
    system = "hkt"
    settings = (("border", False), ("teacher", "efficientnet_lite0"))
    illegal_size = 68
    nearest_legal_sizes = (64, 80)


class TestHKTPlus(DetectorTester):
    system = "hkt_plus"
    size = 40
    illegal_size = 30
    nearest_legal_sizes = (36,)


@pytest.mark.parametrize(("teacher", "widths", "taps"), [("pdn_small", 2, 3), ("pdn_medium", 3, 5)])
def test_every_convolution_but_the_last_is_tapped_and_equal_widths_share(teacher, widths, taps):
    student = HKTStudent(teacher).eval()
    assert len(student.cbams) == len(student.projectors) == widths
    assert sum(isinstance(module, CBAM) for module in student.modules()) == widths
    with torch.inference_mode():
        output = student(torch.randn(2, 3, 44, 44))
    assert [tap.shape for tap in output.taps] == [(2, 384, 3, 3)] * taps
    assert output.features.shape == (2, 384, 3, 3)


def test_ablation_switches_take_their_parts_away():
    image = torch.randn(1, 3, 36, 36)
    bare = HKTStudent("pdn_small", cbam=False, projectors=False)
    assert not any(isinstance(module, CBAM) for module in bare.modules())
    assert bare(image).taps == []
    assert len(HKTStudent("pdn_small", cbam=False)(image).taps) == 3
    attentive = HKTStudent("pdn_small", projectors=False)
    assert attentive(image).taps == []
    assert len(attentive.cbams) == 2


def test_the_bare_student_computes_what_a_pdn_with_its_weights_computes():
    detector = HKT(cbam=False, projectors=False).eval()
    convolutions = [layer for layer in detector.teacher if isinstance(layer, nn.Conv2d)]
    for own, teacher in zip(detector.student.convolutions, convolutions, strict=True):
        own.load_state_dict(teacher.state_dict())
    image = torch.randn(1, 3, 40, 40)
    torch.testing.assert_close(detector.student(image).features, detector.teacher(image))


def test_the_loss_is_the_papers_formula(monkeypatch):
    detector = HKT(tap_weight=0.5)
    detector.standardised.mean.fill_(1.0)
    detector.standardised.std.fill_(2.0)
    teacher = torch.full((2, 384, 1, 1), 5.0)  # Standardised: 2.
    taps = [torch.full_like(teacher, value) for value in (2.0, 0.0, 3.0)]
    answer = StudentOutput(torch.full_like(teacher, 1.0), taps)
    monkeypatch.setattr(detector.student, "forward", lambda images: answer)
    loss = detector.training_loss(Batch(torch.zeros(2, 3, 36, 36), detector.ready_targets((teacher,))))
    assert float(loss) == (2 - 1) ** 2 + 0.5 * (0 + 4 + 1)


def test_a_pdn_teaches_its_own_student_alone():
    with pytest.raises(
        EdgekdError, match="the teacher of this student must be pdn_medium or a backbone, got pdn_small"
    ):
        HKT(student="pdn_medium", teacher="pdn_small")


@pytest.mark.parametrize("side", [253, 123, 59])
def test_a_projected_tap_is_resized_by_the_nearest_rule(side):
    student = HKTStudent("pdn_small")
    with torch.no_grad():
        student.projectors["128"].weight.zero_()
        student.projectors["128"].weight[0, 0] = 1
        student.projectors["128"].bias.zero_()
        places = torch.arange(side * side, dtype=torch.float32).view(1, 1, side, side).expand(-1, 128, -1, -1)
        projected = student._project(places, torch.Size((56, 56)))[0, 0]
    source = [k * side // 56 for k in range(56)]
    expected = torch.tensor([[row * side + column for column in source] for row in source], dtype=torch.float32)
    assert torch.equal(projected, expected)


@pytest.mark.parametrize("network", ["pdn_small", "pdn_medium"])
def test_projecting_after_the_resize_gives_what_the_papers_order_gives(network):
    student, taps, paper = HKTStudent(network), [], []
    for width, projector in student.projectors.items():
        tap = torch.randn(2, int(width), 29, 29, requires_grad=True)
        convolution = nn.Conv2d(int(width), 384, 1)
        convolution.load_state_dict(projector.state_dict())
        taps.append((projector(tap, torch.Size((6, 6))), tap, projector))
        paper.append((functional.interpolate(convolution(tap), (6, 6), mode="nearest"), tap, convolution))
    for ours, theirs in zip(taps, paper, strict=True):
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-6, atol=1e-6)
        gradients = [
            torch.autograd.grad(output.square().sum(), [tap, layer.weight, layer.bias])
            for output, tap, layer in (ours, theirs)
        ]
        torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-4)


def test_a_projector_is_counted_in_the_papers_order_and_computes_at_the_grids_positions():
    projector, places = Projector(128), []
    projector.register_forward_hook(lambda module, inputs, output: places.append(output.shape[2:]))
    tap = torch.randn(1, 128, 29, 29)
    projector(tap, torch.Size((6, 6)))
    assert places == [(6, 6)]
    assert projector.macs(tap) == 128 * 384 * 29 * 29


def test_a_patch_lands_where_it_lies_in_the_image():
    patches = torch.zeros(1, 8, 8)
    patches[0, 2, 5] = 1.0
    placed = place_map(patches, (64, 64), border=True)[0]
    # Four missing cells, then cells of four pixels: row 2 lies on pixels 24..27, column 5 on 36..39.
    assert placed.shape == (64, 64)
    assert torch.equal((placed == placed.max()).nonzero(), torch.tensor([[r, c] for r in (25, 26) for c in (37, 38)]))
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    assert float((placed * rows).sum() / placed.sum()) == pytest.approx(25.5)
    assert float((placed * columns).sum() / placed.sum()) == pytest.approx(37.5)
    assert float(placed.sum()) == pytest.approx(16.0)
    everywhere = place_map(torch.ones(1, 8, 8), (64, 64), border=True)[0]
    assert float(everywhere[:14].abs().max()) == 0
    assert float(everywhere[18:46, 18:46].min()) == 1


def test_without_a_border_the_positions_cover_an_image_of_any_shape():
    torch.manual_seed(0)
    detector = HKT(border=False).eval()
    images = torch.randn(1, 3, 40, 64)
    assert detector.patch_map(images).shape == (1, 10, 16)
    assert detector.anomaly_map(images).shape == (1, 40, 64)
    patches = torch.zeros(1, 10, 16)
    patches[0, 0, 15] = 1.0
    placed = place_map(patches, (40, 64), border=False)[0]
    assert (placed == 1).nonzero().tolist() == [[row, column] for row in (0, 1) for column in (62, 63)]


@pytest.mark.parametrize("network", ["pdn_small", "pdn_medium"])
def test_without_a_border_the_map_is_the_papers_wherever_that_has_one(network):
    torch.manual_seed(0)
    bare = {"student": network, "cbam": False, "projectors": False}  # CBAM looks at the whole image.
    paper, whole = HKT(**bare).eval(), HKT(**bare, border=False).eval()
    whole.load_state_dict(paper.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(whole.patch_map(images)[:, 4:-4, 4:-4], paper.patch_map(images), rtol=1e-4, atol=1e-9)


def test_an_odd_spot_in_the_image_lights_its_own_place_of_the_map():
    torch.manual_seed(0)
    detector = HKT().eval()
    clean = torch.zeros(1, 3, 96, 96)
    spotted = clean.clone()
    spotted[:, :, 30:34, 58:62] = 4.0
    changed = (detector.anomaly_map(spotted) - detector.anomaly_map(clean)).abs()[0]
    # CBAM's channel gate sees the whole image, so all of the map may stir; the spot's own place does so most.
    row, column = divmod(int(changed.argmax()), 96)
    assert abs(row - 31.5) <= 17
    assert abs(column - 59.5) <= 17


def test_the_image_score_is_the_highest_patch_not_the_highest_pixel():
    torch.manual_seed(0)
    detector = HKT().eval()
    images = torch.randn(2, 3, 48, 48)
    patches = detector.patch_map(images)
    assert torch.equal(detector.image_scores(images), patches.flatten(1).max(1).values)
    expected = (detector.standardised(detector.teacher(images)) - detector.student(images).features).square().mean(1)
    torch.testing.assert_close(patches, expected)
