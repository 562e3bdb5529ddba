import copy

import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.models.detector import Batch
from edgekd.models.dskd import DSKD
from edgekd.training.batches import Batches
from edgekd.training.fusion import fit_fusion, fusion_inputs

from ..models.detector_tester import real_images

IMAGES, BATCHES, STEPS = 8, 3, 30


def untrained():
    torch.manual_seed(0)
    return DSKD(64, "efficientnet_lite0").eval()


@pytest.fixture(scope="module")
def detector(elpv_images):
    """A detector whose students have learned a little."""
    detector, images = untrained(), real_images(tuple(elpv_images[:IMAGES]), 64)
    optimizer = torch.optim.Adam(detector.students.train().parameters(), 5e-3, betas=(0.5, 0.999))
    for _ in range(STEPS):
        optimizer.zero_grad()
        detector.training_loss(Batch(images)).backward()
        optimizer.step()
    return detector.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def batches(detector, elpv_images):
    (_, fusion) = detector.stages()
    made = Batches(detector, read_frames(elpv_images[:IMAGES], 64), 4, 0, [], torch.device("cpu"))
    return [made.at(iteration, fusion) for iteration in range(BATCHES)]


@pytest.fixture(scope="module")
def fitted(detector, batches):
    """A detector whose fusion was fitted, and its losses."""
    fitted = copy.deepcopy(detector)
    return fitted, fit_fusion(fitted, batches)


def test_the_weights_leave_a_sixth_for_a_lower_loss(detector, fitted):
    fit_detector, fit = fitted
    assert fit.after < fit.before
    assert float((fit_detector.fusion.weight - detector.fusion.weight).abs().max()) > 0.1
    before, after = detector.state_dict(), fit_detector.state_dict()
    assert [key for key in before if not torch.equal(before[key], after[key])] == ["fusion.weight"]
    assert not fit_detector.fusion.weight.requires_grad


def test_the_same_batches_give_the_same_weights(detector, batches, fitted):
    again = copy.deepcopy(detector)
    assert fit_fusion(again, batches) == fitted[1]
    assert torch.equal(again.fusion.weight, fitted[0].fusion.weight)


def test_the_loss_stands_still_and_some_of_the_map_is_above_the_relus_cut(batches, fitted):
    again = copy.deepcopy(fitted[0])
    fit = fit_fusion(again, batches)
    assert fit.before == pytest.approx(fitted[1].after, rel=1e-6)
    assert fit.after == pytest.approx(fit.before, rel=1e-3)
    assert is_active(again, batches)


def is_active(detector, batches):
    """Whether anything passes the ReLU behind the fusion."""
    return bool((detector.fusion(fusion_inputs(detector, batches)[0]) > 0).any())


def test_weights_that_would_cut_everything_off_are_not_taken(batches):
    detector = untrained().requires_grad_(False)
    fit = fit_fusion(detector, batches)
    assert fit.after == fit.before
    assert detector.fusion.weight.flatten().tolist() == pytest.approx([1 / 6] * 6)
    assert is_active(detector, batches)


def test_maps_and_masks_are_kept_at_a_quarter_of_the_side(detector, batches):
    maps, masks = fusion_inputs(detector, batches)
    assert maps.shape == (4 * BATCHES, 6, 16, 16)
    assert masks.shape == (4 * BATCHES, 16, 16)
    assert float(masks[:4].mean()) == pytest.approx(float(batches[0].masks.mean()))
    with torch.no_grad():
        whole = detector.scale_maps(batches[0].corrupted)
    assert float(maps[1, 2, 3, 5]) == pytest.approx(float(whole[1, 2, 12:16, 20:24].mean()))
