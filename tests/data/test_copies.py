"""Which images are copies of others."""

import shutil

import cv2
import numpy as np
import pytest

from edgekd.data.copies import group_copies


@pytest.fixture
def parts(elpv_images, tmp_path):
    """Ten different real cells."""
    return [shutil.copy(path, tmp_path / f"{number}.png") for number, path in enumerate(elpv_images[:10])]


def changed(path, change):
    """Writes what is made of an image beside it."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    copy = path.with_name(f"{path.stem}_again.png")
    assert cv2.imwrite(str(copy), change(image).round().clip(0, 255).astype(np.uint8))
    return copy


def jpeg(image):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_GRAYSCALE)


def test_different_parts_are_no_copies(elpv_images):
    assert group_copies(elpv_images[:300]) == list(range(300))


def test_equal_bytes_are_copies_wherever_they_are(parts, tmp_path):
    copy = shutil.copy(parts[3], tmp_path / "other name.png")
    assert group_copies([*parts, copy]) == [*range(10), 3]
    assert group_copies([copy, *parts], alike=False) == [0, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image + np.random.default_rng(0).normal(0, 4, image.shape),
        lambda image: image * 1.01,
        jpeg,
    ],
    ids=["noise", "light", "jpeg"],
)
def test_the_same_part_a_moment_later_is_a_copy_and_with_a_defect_it_is_none(change, parts):
    copy = changed(parts[3], change)
    assert group_copies([*parts, copy]) == [*range(10), 3]
    assert group_copies([*parts, copy], alike=False) == list(range(11))
    assert group_copies([*parts, changed(parts[3], lambda image: 255 - image)]) == list(range(11))


def test_parts_that_hardly_differ_from_each_other_are_no_copies(tmp_path):
    """As under a camera that is fixed: by less than a level each, and none is closer to one than to all others."""
    random = np.random.default_rng(0)
    ground = cv2.resize(random.uniform(60, 200, (8, 8)), (128, 128))
    for number in range(12):
        texture = cv2.resize(random.normal(0, 0.5, (32, 32)), (128, 128), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), (ground + texture).round().astype(np.uint8))
    paths = sorted(tmp_path.iterdir())
    assert group_copies(paths) == list(range(12))


def test_images_of_one_part_alone_are_copies_by_their_bytes_only(parts, tmp_path):
    copies = []
    for number in range(12):
        noise = np.random.default_rng(number)
        again = changed(parts[0], lambda image, noise=noise: image + noise.normal(0, 3, image.shape))
        copies.append(again.rename(tmp_path / f"moment{number:02}.png"))
    paths = [*copies, *parts[1:4], shutil.copy(parts[1], tmp_path / "copy.png")]
    assert group_copies(paths) == [*range(15), 12]


def test_values_of_12_bits_in_16_are_compared_as_well(parts, tmp_path):
    paths = []
    for number, path in enumerate(parts):
        deep = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 16
        paths.append(tmp_path / f"deep{number}.png")
        cv2.imwrite(str(paths[-1]), deep)
    cv2.imwrite(str(tmp_path / "again.png"), cv2.imread(str(paths[4]), cv2.IMREAD_UNCHANGED) + 9)
    assert group_copies([*paths, tmp_path / "again.png"]) == [*range(10), 4]


def test_files_that_cannot_be_read_are_copies_of_none(parts, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"text")
    paths = [tmp_path / "gone.png", tmp_path / "empty.png", tmp_path / "text.png", *parts]
    assert group_copies(paths) == list(range(13))
