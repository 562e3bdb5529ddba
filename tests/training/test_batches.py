import threading
from functools import partial

import numpy as np
import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.data.symmetries import shifted, transformed
from edgekd.models.normalisation import normalise
from edgekd.models.registry import find_system
from edgekd.preprocessing import Preprocessing
from edgekd.training.batches import Batches, indices_of, normalised_images, symmetries_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def frames(elpv_images):
    return read_frames(elpv_images[:5], 64)


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return find_system("dskd").detector(64, {"backbone": "efficientnet_lite0"}).eval()


def batches_of(detector, frames, seed=0, **options):
    return Batches(detector, frames, 2, seed, [], CPU, **options)


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


def same(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in ("images", "corrupted", "masks")
    ) and all(torch.equal(first, second) for first, second in zip(one.targets or (), other.targets or (), strict=True))


@pytest.mark.parametrize("augment", [(), ("symmetries",), ("flip_vertical", "turn"), ("shift",)])
def test_batches_are_the_same_with_any_number_of_workers_and_from_any_iteration(detector, frames, augment):
    _, fusion = detector.stages()
    with batches_of(detector, frames, augment=augment, workers=0) as plain:
        expected = [plain.at(iteration, fusion) for iteration in range(6)]
    for workers in (1, 3):
        with batches_of(detector, frames, augment=augment, workers=workers) as ahead:
            assert all(same(ahead.at(iteration, fusion), expected[iteration]) for iteration in range(6))
        with batches_of(detector, frames, augment=augment, workers=workers) as resumed:
            assert all(same(resumed.at(iteration, fusion), expected[iteration]) for iteration in (4, 5))


def test_the_threads_end_with_the_batches_and_an_error_passes(detector, frames):
    _, fusion = detector.stages()

    def interrupted():
        with batches_of(detector, frames, workers=2) as batches:
            batches.at(0, fusion)
            raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(threading.enumerate()) <= before


SYMMETRIES = [partial(transformed, symmetry=symmetry) for symmetry in range(8)]
SHIFTS = [partial(shifted, down=down, right=right) for down in (-1, 0, 1) for right in (-1, 0, 1)]  # 1/64 of 64.


@pytest.mark.parametrize(("augment", "changes"), [("symmetries", SYMMETRIES), ("shift", SHIFTS)])
def test_augmented_images_are_the_iterations_images_changed_with_their_own_targets(detector, frames, augment, changes):
    students, _ = detector.stages()
    batches = batches_of(detector, frames, augment=(augment,))
    seen = set()
    for iteration in range(30):
        batch = batches.at(iteration, students)
        for place, index in enumerate(indices_of(iteration, 2, len(frames), 0)):
            variants = [normalised_images(change(frames[index])[None], CPU)[0] for change in changes]
            (found,) = [number for number, image in enumerate(variants) if torch.equal(image, batch.images[place])]
            seen.add(found)
            expected = detector.targets(batch.images[place : place + 1])
            for level, targets in enumerate(batch.targets):
                torch.testing.assert_close(targets[place : place + 1], expected[level])
    assert seen == set(range(len(changes)))


def test_a_rectangle_is_flipped_and_corrupted_with_its_own_targets(detector, elpv_images):
    wide = read_frames(elpv_images[:3], Preprocessing(64, 96))
    students, fusion = detector.stages()
    with batches_of(detector, wide, augment=("flip_horizontal", "flip_vertical")) as batches:
        for iteration in range(4):
            batch = batches.at(iteration, students)
            for level, targets in enumerate(detector.targets(batch.images[:1])):
                torch.testing.assert_close(batch.targets[level][:1], targets)
        corrupted = batches.at(4, fusion)
    assert corrupted.corrupted.shape == (2, 3, 64, 96)
    assert corrupted.masks.shape == (2, 64, 96)


def test_flips_alone_do_not_turn():
    assert symmetries_of(()) == [0]
    assert symmetries_of(("turn",)) == [0]
    assert symmetries_of(("flip_horizontal",)) == [0, 1]
    assert symmetries_of(("flip_vertical",)) == [0, 2]
    assert symmetries_of(("flip_vertical", "flip_horizontal")) == [0, 1, 2, 3]
    assert symmetries_of(("symmetries",)) == list(range(8))


def test_turned_images_have_the_targets_of_what_is_seen(detector, frames):
    students, _ = detector.stages()
    batch = batches_of(detector, frames, augment=("turn",)).at(3, students)
    assert not any(
        torch.equal(image, normalised_images(frames[index : index + 1], CPU)[0])
        for image, index in zip(batch.images, indices_of(3, 2, len(frames), 0), strict=True)
    )
    for targets, expected in zip(batch.targets, detector.targets(batch.images), strict=True):
        assert torch.equal(targets, expected)
