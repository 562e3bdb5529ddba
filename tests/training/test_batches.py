import numpy as np
import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.models.normalisation import normalise
from edgekd.models.registry import find_system
from edgekd.training.batches import Batches, normalised_images

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def frames(elpv_images):
    return read_frames(elpv_images[:5], 64)


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return find_system("dskd").detector(64, {"backbone": "efficientnet_lite0"}).eval()


def batches_of(detector, frames, seed=0):
    return Batches(detector, frames, 2, seed, [], CPU)


def test_images_are_normalised_rgb_of_bgr_frames(frames):
    expected = normalise(torch.from_numpy(frames[:1, ..., ::-1].copy()).permute(0, 3, 1, 2))
    assert torch.equal(normalised_images(frames[:1], CPU), expected)


def test_a_stage_that_asks_the_teacher_gets_its_answers_of_the_clean_images(detector, frames):
    students, _ = detector.stages()
    batch = batches_of(detector, frames).at(0, students)
    assert batch.corrupted is None
    assert batch.masks is None
    expected = [detector.targets(image[None]) for image in batch.images]
    for level, targets in enumerate(batch.targets):
        torch.testing.assert_close(targets, torch.cat([entry[level] for entry in expected]))


def test_a_stage_of_synthetic_anomalies_gets_them_and_their_masks(detector, frames):
    _, fusion = detector.stages()
    changed = 0
    for iteration in range(5):
        batch = batches_of(detector, frames).at(iteration, fusion)
        assert batch.targets is None
        outside = (batch.masks == 0)[:, None].expand_as(batch.images)
        assert torch.equal(batch.corrupted[outside], batch.images[outside])
        assert set(batch.masks.unique().tolist()) <= {0.0, 1.0}
        changed += int((batch.corrupted != batch.images).any())
    assert changed >= 3


def test_a_batch_follows_from_seed_and_iteration_alone(detector, frames):
    _, fusion = detector.stages()
    first = batches_of(detector, frames)
    later = batches_of(detector, frames)
    later.at(0, fusion)
    once, again = first.at(3, fusion), later.at(3, fusion)
    assert torch.equal(once.images, again.images)
    assert torch.equal(once.corrupted, again.corrupted)
    other = batches_of(detector, frames, seed=1).at(3, fusion)
    assert not np.array_equal(once.masks.numpy(), other.masks.numpy())
