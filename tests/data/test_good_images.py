"""Which good images are trained on, and which are held out."""

from pathlib import Path

import pytest

from edgekd.data.good_images import divide_good_images, split_good_images
from edgekd.errors import EdgekdError

PATHS = [Path(f"{number:03}.png") for number in range(213)]  # As many as MVTec AD's transistor has.


@pytest.mark.parametrize(
    ("images", "share", "held_out"),
    [(213, None, 21), (60, None, 10), (40, None, 10), (39, None, 3), (9, None, 0), (213, 0.0, 0), (213, 0.1, 22)],
)
def test_how_many_are_held_out(images, share, held_out):
    training, kept = split_good_images(PATHS[:images], 0, share)
    assert len(kept) == held_out
    assert sorted(training + kept) == PATHS[:images]
    assert training == sorted(training)


def test_the_seed_decides_which():
    assert split_good_images(PATHS, 1) == split_good_images(PATHS, 1) != split_good_images(PATHS, 2)


@pytest.mark.parametrize("share", [None, 0.0, 0.1])
def test_a_datasets_own_validation_images_are_held_out_and_all_others_trained_on(share, tmp_path, write_images):
    training = [f"train/good/{number:03}.png" for number in range(20)]
    write_images(tmp_path, *training, "validation/good/000.png", "validation/good/001.png", "test/good/000.png")
    found = divide_good_images(tmp_path, 0, share)
    assert found == (
        [tmp_path / name for name in training],
        [tmp_path / "validation/good/000.png", tmp_path / "validation/good/001.png"],
    )


def test_a_folder_named_validation_in_a_plain_folder_of_good_images_is_no_split(tmp_path, write_images):
    write_images(tmp_path, *(f"validation/good/{number}.png" for number in range(10)))
    training, held_out = divide_good_images(tmp_path, 0)
    assert (len(training), len(held_out)) == (9, 1)


@pytest.mark.parametrize("names", [("000.png",), ("train/good/000.png", "validation/good/000.png")])
def test_one_image_is_too_few(names, tmp_path, write_images):
    write_images(tmp_path, *names)
    with pytest.raises(EdgekdError, match="1 good image is too few to train on"):
        divide_good_images(tmp_path, 0)
