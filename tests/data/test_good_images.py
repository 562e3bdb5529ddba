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


def test_copies_never_stand_on_both_sides_and_count_once():
    paths = [Path(f"{number:02}_{copy}.png") for number in range(20) for copy in range(3)]
    groups = [3 * (index // 3) for index in range(60)]
    for seed in range(20):
        training, held_out = split_good_images(paths, seed, 0.3, groups)
        parts = {path.name[:2] for path in held_out}
        assert len(held_out) == len(parts) == 6  # Of 20, not of 60.
        assert sorted(training) == training == [path for path in paths if path.name[:2] not in parts]
    assert split_good_images(paths, 1, 0.3, groups) == split_good_images(paths, 1, 0.3, groups)


def test_without_copies_groups_change_nothing():
    assert split_good_images(PATHS, 5, None, range(213)) == split_good_images(PATHS, 5)


def test_files_that_are_copies_of_a_datasets_validation_images_are_not_trained_on(tmp_path, write_images):
    training = write_images(tmp_path, *(f"train/good/{number}.png" for number in range(4)))
    (validation,) = write_images(tmp_path, "validation/good/0.png")
    training[2].write_bytes(validation.read_bytes())
    assert divide_good_images(tmp_path, 0) == ([training[0], training[1], training[3]], [validation])


def test_copies_of_one_image_are_too_few(tmp_path, write_images):
    write_images(tmp_path, *(f"{number}.png" for number in range(30)), value=7)
    with pytest.raises(EdgekdError, match="the 30 good images are copies of one, which is too few to train on"):
        divide_good_images(tmp_path, 0)
