import logging

import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.models.registry import find_system
from edgekd.training import targets as targets_module
from edgekd.training.batches import normalised_images
from edgekd.training.targets import MapCache, TargetCache

CPU = torch.device("cpu")
LITE0 = "efficientnet_lite0"


@pytest.fixture(scope="module")
def images(elpv_images):
    frames = read_frames(elpv_images[:5], 64)
    return [normalised_images(frames[index : index + 1], CPU) for index in range(len(frames))]


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return find_system("mhkd").detector(64, {"teacher": LITE0}).eval()


@pytest.fixture
def memory(monkeypatch):
    """Sets what the machine is said to have."""
    return lambda size: monkeypatch.setattr(targets_module, "available_memory", lambda device: size)


def prepared_cache(detector, images, dtype=torch.float32):
    asked = []

    def image(number):
        asked.append(number)
        return images[number]

    cache = TargetCache(detector, image, len(images), dtype=dtype)
    cache.prepare()
    return cache, asked


def expected_targets(detector, images):
    return torch.cat([detector.ready_targets(detector.targets(image))[0] for image in images])


@pytest.mark.parametrize("room", [0, 3, 5])
def test_targets_are_the_same_kept_or_computed_each_time(detector, images, memory, room):
    each = detector.targets(images[0])[0].nbytes
    memory(2 * room * each)
    cache, asked = prepared_cache(detector, images)
    (targets,) = cache.get([4, 1, 0, 2, 3])
    expected = expected_targets(detector, [images[index] for index in (4, 1, 0, 2, 3)])
    torch.testing.assert_close(targets, expected, rtol=1e-6, atol=1e-6)
    assert targets.mean().abs() < 1e-3  # Standardised, and by statistics that were measured.
    assert targets.std((0, 2, 3)).amax() == pytest.approx(1, abs=1e-2)
    assert asked[:5] == [0, 1, 2, 3, 4]  # To be measured.
    assert asked[5:] == [number for number in (4, 1, 0, 2, 3) if number >= room]


def test_in_bfloat16_targets_are_rounded_once(detector, images):
    cache, asked = prepared_cache(detector, images, torch.bfloat16)
    (targets,) = cache.get(range(5))
    assert targets.dtype == torch.float32
    assert torch.equal(targets, expected_targets(detector, images).bfloat16().float())
    assert asked == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_is_that_of_the_targets_alone(detector, images, dtype):
    """The teacher of HKT crops its output: a view, over a larger base."""
    hkt = find_system("hkt").detector(64, {"teacher": LITE0}).eval()
    (output,) = hkt.targets(images[0])
    assert output.untyped_storage().nbytes() > output.nbytes
    cache, _ = prepared_cache(hkt, images, dtype)
    cache.get([0])
    assert cache._ready.nbytes() == 5 * output.numel() * dtype.itemsize


def test_a_shortage_is_reported_once(detector, images, memory, caplog):
    each = detector.targets(images[0])[0].nbytes
    memory(4 * each)
    cache, _ = prepared_cache(detector, images)
    with caplog.at_level(logging.WARNING, "edgekd.training"):
        cache.get([0])
        cache.get([4])
    (record,) = caplog.records
    assert "there is room for 2 of 5" in record.getMessage()
    assert "smaller --size" in record.getMessage()


def test_with_room_for_all_nothing_is_reported(detector, images, caplog):
    cache, _ = prepared_cache(detector, images)
    cache.get([0, 4])
    assert not caplog.records


def test_variants_that_were_not_measured_are_kept_from_their_first_use(detector, images):
    asked = []

    def image(number):
        asked.append(number)
        return images[number % 5] if number < 5 else images[number % 5].flip(3)

    cache = TargetCache(detector, image, 5, variants=2)
    cache.prepare()
    (flipped,) = cache.get([7, 2, 7])
    cache.get([7])
    assert asked == [0, 1, 2, 3, 4, 7]
    expected = expected_targets(detector, [images[2].flip(3), images[2], images[2].flip(3)])
    torch.testing.assert_close(flipped, expected, rtol=1e-6, atol=1e-6)


def test_several_maps_of_a_number_keep_their_shapes():
    cache = MapCache(lambda number: (torch.full((1, 2, 3, 4), float(number)), torch.ones(1, 5, 1, 1)), 3, torch.float32)
    first, second = cache.get([2, 0])
    assert (first.shape, second.shape) == ((2, 2, 3, 4), (2, 5, 1, 1))
    assert first[:, 0, 0, 0].tolist() == [2, 0]
