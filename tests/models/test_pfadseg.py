import math
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgekd.models.attention import AFF, PCAR, RCM, SPR
from edgekd.models.detector import Batch
from edgekd.models.pfadseg import ASPP, PAResidual, PFADSeg
from edgekd.models.registry import find_system

from .detector_tester import DetectorTester, real_images, training_batch
from .written_out import drawn, normalise_batch, pointwise

WIDTHS = (24, 40, 112)  # Of EfficientNet-Lite0's maps at strides 4, 8, 16.


class TestPFADSeg(DetectorTester):
    system = "pfadseg"
    learning_rate = 2e-5
    illegal_size = 200
    nearest_legal_sizes = (192, 256)


class TestPFADSegWithoutItsBlocks(DetectorTester):
    system = "pfadseg"
    settings = (("backbone", "efficientnet_lite0"), ("pcar", False), ("aff", False), ("rcm", False))
    illegal_size = 65
    nearest_legal_sizes = (64, 128)


@pytest.fixture(scope="module")
def built():
    torch.manual_seed(0)
    return PFADSeg("efficientnet_lite0").eval()


@pytest.fixture
def light(built):
    """A detector with real weights; its gradients are forgotten after a test."""
    yield built
    built.zero_grad(set_to_none=True)


@cache
def on_meta(**settings):
    """A detector without values, where shapes are all that matters."""
    with torch.device("meta"):
        return PFADSeg(**settings).eval()


def test_one_gate_serves_three_branches_unless_each_shall_have_its_own():
    gates = {
        shared: [
            sum(isinstance(part, SPR) for part in module.modules())
            for module in entry.modules()
            if type(module) is PCAR
        ]
        for shared, entry in ((True, on_meta()), (False, on_meta(shared_gate=False)))
    }
    assert gates == {True: [1] * 18, False: [3] * 18}
    counts = [sum(entry.numel() for entry in on_meta(**own).parameters()) for own in ({"shared_gate": False}, {})]
    assert round((counts[0] - counts[1]) / 1e6, 2) == 1.15


@pytest.mark.parametrize(("inputs", "stride"), [(8, 1), (8, 2), (4, 1)])
@pytest.mark.parametrize("aff", [True, False])
def test_a_residual_block_fuses_main_and_shortcut_and_then_cuts_off_below_0(inputs, stride, aff):
    block, x = drawn(PAResidual(inputs, 8, stride, pcar=True, aff=aff, shared_gate=True)), torch.randn(2, inputs, 8, 8)
    (first, first_norm), (pcar, last_norm) = block.first, block.second
    main = normalise_batch(first_norm, functional.conv2d(x, first.weight, stride=stride, padding=1))
    main = normalise_batch(last_norm, pcar(torch.relu(main)))
    shortcut = x
    if (inputs, stride) == (8, 1):
        assert len(block.shortcut) == 0
    else:
        reshape, norm = block.shortcut
        shortcut = normalise_batch(norm, pointwise(reshape, x[:, :, ::stride, ::stride]))
    fused = block.fusion(main, shortcut) if aff else main + shortcut
    torch.testing.assert_close(block(x), fused.clamp_min(0))
    assert float(fused.min()) < 0


def test_training_on_one_image_fails_as_the_minimum_batch_promises():
    block = PAResidual(8, 8, 1, pcar=True, aff=True, shared_gate=True).train()
    block(torch.randn(PFADSeg.min_batch, 8, 4, 4))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        block(torch.randn(PFADSeg.min_batch - 1, 8, 4, 4))


def test_the_first_steps_at_the_least_batch_have_gradients_without_outliers(elpv_images):
    torch.manual_seed(0)
    detector = PFADSeg("efficientnet_lite0").eval()
    student, images = detector.student.train(), real_images(tuple(elpv_images[:4]), 64)
    optimizer, norms = torch.optim.SGD(student.parameters(), 0.5, momentum=0.9), []
    for step in range(8):
        loss = detector.training_loss(training_batch(images[step % 3 :][: PFADSeg.min_batch]))
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(student.parameters(), math.inf)))
        optimizer.step()
    assert max(norms) < 1e4


def test_the_papers_student_answers_at_strides_4_8_and_16_with_the_teachers_widths():
    detector, images = on_meta(), torch.empty(2, 3, 256, 256, device="meta")
    shapes = [(2, 64, 64, 64), (2, 128, 32, 32), (2, 256, 16, 16)]
    assert [entry.shape for entry in detector.teacher(images)] == shapes
    assert [entry.shape for entry in detector.student(images)] == shapes


def test_the_decoder_starts_at_stride_32_and_has_two_blocks_a_stage():
    student, seen = on_meta().student, []
    assert [len(stage) for stage in student.decoder] == [2, 2, 2, 2]
    for stage in student.decoder:
        stage.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].shape[1:], output.shape[1:])))
    student(torch.empty(1, 3, 256, 256, device="meta"))
    assert seen == [
        ((512, 8, 8), (512, 8, 8)),
        ((512, 16, 16), (256, 16, 16)),
        ((256, 32, 32), (128, 32, 32)),
        ((128, 64, 64), (64, 64, 64)),
    ]


def test_the_decoders_widths_follow_the_backbone(light):
    with torch.no_grad():
        maps = light.student(torch.randn(2, 3, 64, 64))
    assert [entry.shape for entry in maps] == [
        (2, w, 64 // s, 64 // s) for w, s in zip(WIDTHS, (4, 8, 16), strict=True)
    ]
    assert [entry.shape for entry in light.targets(torch.randn(2, 3, 64, 64))] == [entry.shape for entry in maps]


def vectors(*cosines):
    """A student's map [1, 2, 1, W] with these cosines to (1, 0), of any length."""
    columns = [(length * c, length * (1 - c * c) ** 0.5) for length, c in enumerate(cosines, start=1)]
    return torch.tensor(columns).T.reshape(1, 2, 1, -1)


def test_the_students_loss_sums_over_images_and_maps_and_averages_over_positions(monkeypatch, light):
    # Two images; three maps of two positions, one and one.
    answers = [
        torch.cat([vectors(1, 0.6), vectors(0, 0)]),
        torch.cat([vectors(-1), vectors(0.8)]),
        torch.cat([vectors(1), vectors(0)]),
    ]
    targets = [torch.tensor([5.0, 0.0]).view(1, 2, 1, 1).expand(entry.shape) for entry in answers]
    monkeypatch.setattr(light.teacher, "forward", lambda images: targets)
    monkeypatch.setattr(light.student, "forward", lambda images: answers)
    images = torch.zeros(2, 3, 64, 64)
    expected = (0 + 0.4) / 2 + (1 + 1) / 2 + 2 + 0.2 + 0 + 1
    assert light.training_loss(Batch(images, corrupted=images)).item() == pytest.approx(expected)
    kept = Batch(images, tuple(-target for target in targets), images)
    assert light.training_loss(kept).item() == pytest.approx(2 * 6 - expected)


@pytest.fixture
def seen(monkeypatch, light):
    """What the teacher, the student and the segmentation network were shown, by name."""
    seen = {}
    for name in ("teacher", "student", "segmentation"):
        network = getattr(light, name)

        def spy(given, name=name, forward=network.forward):
            seen.setdefault(name, []).append(given)
            return forward(given)

        monkeypatch.setattr(network, "forward", spy)
    return seen


def test_the_student_learns_from_corrupted_images_the_teachers_maps_of_clean_ones(light, seen):
    images, corrupted = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        light.training_loss(Batch(images, corrupted=corrupted))
    assert [given is images for given in seen["teacher"]] == [True]
    assert [given is corrupted for given in seen["student"]] == [True]
    assert "segmentation" not in seen


def test_kept_targets_spare_the_teacher(light, seen):
    images = torch.randn(2, 3, 64, 64)
    targets = light.targets(images)
    seen.clear()
    with torch.no_grad():
        light.training_loss(Batch(images, targets, corrupted=images))
    assert "teacher" not in seen


def test_the_segmentation_network_learns_where_both_see_the_corrupted_image(light, seen):
    images, corrupted = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        light.segmentation_loss(Batch(images, corrupted=corrupted, masks=torch.zeros(2, 64, 64)))
    assert [given is corrupted for given in seen["teacher"]] == [True]
    assert [given is corrupted for given in seen["student"]] == [True]


def test_it_reads_the_products_of_normalised_features(light, seen):
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        light.anomaly_map(images)
        teacher, student = light.teacher(images), light.student(images)
    for product, t, s in zip(seen["segmentation"][0], teacher, student, strict=True):
        expected = functional.normalize(t, dim=1, eps=1e-12) * functional.normalize(s, dim=1, eps=1e-12)
        torch.testing.assert_close(product, expected)


def test_the_products_meet_on_the_finest_grid_in_their_order(monkeypatch, light):
    given = []
    monkeypatch.setattr(light.segmentation.blocks, "forward", lambda x: given.append(x) or torch.zeros(1, 256, 4, 4))
    products = tuple(torch.randn(1, width, side, side) for width, side in zip(WIDTHS, (4, 2, 1), strict=True))
    with torch.no_grad():
        answer = light.segmentation(products)
    assert answer.shape == (1, 4, 4)
    weights = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # Half-pixel centres, 2 cells to 4.
    expected = [products[0], weights @ products[1] @ weights.T, products[2].expand(1, 112, 4, 4)]
    torch.testing.assert_close(given[0], torch.cat(expected, dim=1))


def test_the_segmentation_loss_is_focal_plus_l1_at_a_quarter_of_the_size(monkeypatch, light):
    answer = torch.tensor([[[0.9, 0.2], [0.4, 0.7]]])
    monkeypatch.setattr(light.teacher, "forward", lambda images: [torch.ones(1, 1, 1, 1)] * 3)
    monkeypatch.setattr(light.student, "forward", lambda images: [torch.ones(1, 1, 1, 1)] * 3)
    monkeypatch.setattr(light.segmentation, "forward", lambda products: answer)
    # Bilinear from 8 to 2 reads the four middle pixels of each quarter: of one two are set, of the next one, of the
    # third all but those, of the last all. So the truth is 1, 0, 0, 1.
    masks = torch.zeros(1, 8, 8)
    masks[0, 1, 1:3] = 1
    masks[0, 1, 5] = 1
    masks[0, 4:, :4] = 1
    masks[0, 5:7, 1:3] = 0
    masks[0, 4:, 4:] = 1
    images = torch.zeros(1, 3, 8, 8)
    right = torch.tensor([0.9, 0.8, 0.6, 0.7], dtype=torch.float64)
    expected = -((1 - right) ** 4 * right.log()).mean() + (1 - right).mean()
    loss = light.segmentation_loss(Batch(images, corrupted=images, masks=masks))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_certain_answer_that_is_wrong_has_a_finite_loss(monkeypatch, light, answer):
    monkeypatch.setattr(light.segmentation, "forward", lambda products: torch.full((1, 16, 16), answer))
    images = torch.zeros(1, 3, 64, 64)
    batch = Batch(images, corrupted=images, masks=torch.full((1, 64, 64), 1 - answer))
    assert 1 < light.segmentation_loss(batch).item() < 100


def test_the_second_stage_leaves_teacher_and_student_alone(light):
    images = torch.randn(2, 3, 64, 64)
    assert all(parameter.requires_grad for parameter in light.student.parameters())
    light.segmentation_loss(Batch(images, corrupted=images, masks=torch.ones(2, 64, 64))).backward()
    assert all(parameter.grad is None for part in (light.teacher, light.student) for parameter in part.parameters())
    assert all(parameter.grad is not None for parameter in light.segmentation.parameters())


def test_the_stages_share_iterations_and_rates_as_the_paper_has_them(light):
    student, segmentation = light.stages()
    assert (student.name, segmentation.name) == ("student", "segmentation")
    assert (student.share, segmentation.share) == (3000, 4000)
    assert student.trainable is light.student
    assert segmentation.trainable is light.segmentation
    assert student.synthetic
    assert segmentation.synthetic
    assert student.needs_targets
    assert not segmentation.needs_targets  # It does not use the teacher's maps of clean images.
    training = find_system("pfadseg").training
    assert (training.learning_rate, training.iterations) == (0.5, 7000)
    assert student.rates == ()
    (blocks, block_rate), (head, head_rate) = segmentation.rates
    assert blocks is light.segmentation.blocks
    assert head is light.segmentation.head
    assert training.learning_rate * block_rate == pytest.approx(0.1)
    assert training.learning_rate * head_rate == pytest.approx(0.01)


def test_the_map_is_the_answer_resized_and_its_score_the_mean_of_its_100_largest_pixels(monkeypatch, light):
    answer = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(light.segmentation, "forward", lambda products: answer)
    images = torch.zeros(2, 3, 64, 64)
    maps = functional.interpolate(answer[:, None], (64, 64), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(light.anomaly_map(images), maps)
    for score, entry in zip(light.image_scores(images), maps, strict=True):
        assert score.item() == pytest.approx(sum(sorted(entry.flatten().tolist())[-100:]) / 100)


# RCM, AFF, PCAR: the rows of Table 4.
@pytest.mark.parametrize(
    ("rcm", "aff", "pcar"),
    [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)],
)
def test_the_ablation_switches_take_their_parts_away(rcm, aff, pcar):
    detector = on_meta(rcm=bool(rcm), aff=bool(aff), pcar=bool(pcar))
    found = {kind: sum(isinstance(part, kind) for part in detector.modules()) for kind in (RCM, ASPP, AFF, PCAR, SPR)}
    blocks = 8 + 8 + 2  # Of encoder, decoder and segmentation network.
    assert found == {RCM: rcm, ASPP: 1 - rcm, AFF: blocks * aff, PCAR: blocks * pcar, SPR: blocks * pcar}
    plain = [part.second[0] for part in detector.modules() if isinstance(part, PAResidual)]
    assert len(plain) == blocks
    assert all(isinstance(second, PCAR if pcar else nn.Conv2d) for second in plain)
    with torch.no_grad():
        answer = detector.segmentation(detector.student(torch.empty(2, 3, 64, 64, device="meta")))
    assert answer.shape == (2, 16, 16)
