import numpy as np
import pytest
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.training.teachers import ceiling
from edgekd.training.teachers.ceiling import teacher_ceiling


class Colours(nn.Module):
    """Features of a patch of one pixel: its normalised colour."""

    def forward(self, images):
        return images


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def frames_of(random: np.random.Generator, count: int, most: int = 100) -> np.ndarray:
    return random.integers(0, most, (count, 16, 16, 3), np.uint8)


def test_images_with_a_patch_that_no_good_one_has_are_told_apart(random):
    good, test = frames_of(random, 4), frames_of(random, 6)
    test[3:, 5, 5] = 255
    found = teacher_ceiling(Colours(), good, test, [False] * 3 + [True] * 3)
    assert found.image_auroc == 1
    assert max(found.scores[:3]) < min(found.scores[3:])
    assert found.seconds > 0


def test_all_patches_in_it_stands_still_by_definition(random):
    found = teacher_ceiling(Colours(), frames_of(random, 4), frames_of(random, 2), [False, True])
    assert found.growth == ((1024, found.image_auroc),)
    assert found.patches == 1024
    assert found.stands_still


def test_the_memory_doubles_until_the_figure_stands_still(random, monkeypatch):
    monkeypatch.setattr(ceiling, "FIRST_PATCHES", 10)
    good, test = frames_of(random, 4), frames_of(random, 40)
    labels = [bool(index % 2) for index in range(40)]
    found = teacher_ceiling(Colours(), good, test, labels)
    sizes = [patches for patches, _ in found.growth]
    assert sizes == [12 * 2**index for index in range(len(sizes) - 1)] + [min(12 * 2 ** (len(sizes) - 1), 1024)]
    changes = [abs(late - early) for (_, early), (_, late) in zip(found.growth, found.growth[1:], strict=False)]
    assert all(change >= ceiling.STILL for change in changes[:-1])
    assert found.stands_still


def test_a_limit_that_is_reached_before_it_stands_still_is_told(random, monkeypatch):
    monkeypatch.setattr(ceiling, "FIRST_PATCHES", 10)
    monkeypatch.setattr(ceiling, "STILL", 0.0)
    labels = [bool(index % 2) for index in range(20)]
    found = teacher_ceiling(Colours(), frames_of(random, 4), frames_of(random, 20), labels, most=40)
    assert found.patches == 40
    assert not found.stands_still


def test_images_that_there_is_no_room_to_keep_are_computed_again_and_score_the_same(random, monkeypatch):
    monkeypatch.setattr(ceiling, "FIRST_PATCHES", 10)
    good, test, labels = frames_of(random, 4), frames_of(random, 6), [False, True] * 3
    kept = teacher_ceiling(Colours(), good, test, labels)
    monkeypatch.setattr(ceiling, "available_host_memory", lambda: 0)
    assert teacher_ceiling(Colours(), good, test, labels).scores == kept.scores


def test_a_test_without_defective_images_is_refused(random):
    with pytest.raises(EdgekdError, match="no defective images"):
        teacher_ceiling(Colours(), frames_of(random, 2), frames_of(random, 2), [False, False])
