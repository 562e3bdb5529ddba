from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data.layouts import find_good_images, read_category, read_mask
from edgekd.errors import EdgekdError


def write_image(path: Path, value: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((16, 16), value, np.uint8))
    return path


@pytest.fixture
def bottle(tmp_path: Path) -> Path:
    """A category with two good and three defective test images of two classes, all with masks."""
    root = tmp_path / "bottle"
    for name in ("train/good/000", "train/good/001", "test/good/000", "test/good/001"):
        write_image(root / f"{name}.png")
    for name in ("crack/000", "crack/001", "stain/000"):
        write_image(root / "test" / f"{name}.png")
        write_image(root / "ground_truth" / f"{name}_mask.png")
    return root


def remove_ground_truth(category: Path) -> None:
    for mask in category.glob("ground_truth/*/*"):
        mask.unlink()
    for folder in category.glob("ground_truth/*"):
        folder.rmdir()
    (category / "ground_truth").rmdir()


def test_a_plain_folder_gives_all_its_images_in_order(tmp_path: Path) -> None:
    expected = [write_image(tmp_path / name) for name in ("a.png", "b/c.jpg", "d.png")]
    (tmp_path / "readme.txt").write_text("no image")
    assert find_good_images(tmp_path) == expected


def test_a_category_gives_only_its_good_training_images(bottle: Path) -> None:
    assert find_good_images(bottle) == [bottle / "train/good/000.png", bottle / "train/good/001.png"]


def test_a_folder_of_categories_is_refused_and_the_categories_are_named(bottle: Path) -> None:
    write_image(bottle.parent / "cable/train/good/000.png")
    with pytest.raises(EdgekdError, match=r"several categories.*bottle, cable"):
        find_good_images(bottle.parent)


@pytest.mark.parametrize("beside", ["crack", "bad"])
def test_a_folder_with_good_beside_other_images_is_not_trained_on(tmp_path: Path, beside: str) -> None:
    write_image(tmp_path / "good/000.png")
    write_image(tmp_path / beside / "000.png")
    with pytest.raises(EdgekdError, match=f"good beside {beside}"):
        find_good_images(tmp_path)


def test_a_category_without_good_training_images_is_not_trained_on(tmp_path: Path) -> None:
    write_image(tmp_path / "test/crack/000.png")
    with pytest.raises(EdgekdError, match="no train/good"):
        find_good_images(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgekdError, match=r"no such folder: .*nowhere"):
        find_good_images(tmp_path / "nowhere")


def test_a_category_lists_its_images_with_their_classes_and_masks(bottle: Path) -> None:
    category = read_category(bottle)
    assert (category.name, category.root, len(category.train_good)) == ("bottle", bottle, 2)
    assert [(p.path.relative_to(bottle).as_posix(), p.defect, p.defective) for p in category.test] == [
        ("test/good/000.png", "good", False),
        ("test/good/001.png", "good", False),
        ("test/crack/000.png", "crack", True),
        ("test/crack/001.png", "crack", True),
        ("test/stain/000.png", "stain", True),
    ]
    assert [p.mask for p in category.test[:3]] == [None, None, bottle / "ground_truth/crack/000_mask.png"]
    assert category.has_masks


def test_a_category_may_have_no_masks_at_all(bottle: Path) -> None:
    remove_ground_truth(bottle)
    category = read_category(bottle)
    assert len(category.test) == 5
    assert not category.has_masks


def test_a_category_may_have_nothing_to_train_on(bottle: Path) -> None:
    for path in (bottle / "train/good").iterdir():
        path.unlink()
    (bottle / "train/good").rmdir()
    assert read_category(bottle).train_good == []


def test_a_missing_mask_is_named(bottle: Path) -> None:
    (bottle / "ground_truth/crack/001_mask.png").unlink()
    with pytest.raises(EdgekdError, match=r"1 of 2 masks of defect 'crack' are missing.*001_mask\.png"):
        read_category(bottle)


def test_a_class_without_masks_beside_one_with_masks_is_refused(bottle: Path) -> None:
    (bottle / "ground_truth/stain/000_mask.png").unlink()
    (bottle / "ground_truth/stain").rmdir()
    with pytest.raises(EdgekdError, match="1 of 1 masks of defect 'stain'"):
        read_category(bottle)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("train/good", "no folder test"),
        ("test/crack", "no folder good"),
        ("test/good", "no folder of defective images"),
    ],
)
def test_what_a_category_lacks_is_named_with_the_layout(tmp_path: Path, there: str, message: str) -> None:
    write_image(tmp_path / there / "000.png")
    with pytest.raises(EdgekdError, match=f"{message}.*expected <category>/test/good") as raised:
        read_category(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_mask_of_ones_is_as_good_as_one_of_255(tmp_path: Path) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[4:8, 10:15] = 1
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    read = read_mask(tmp_path / "mask.png", 20, 20)
    assert read.dtype == np.bool_
    np.testing.assert_array_equal(read, mask == 1)


def test_a_shrunk_mask_keeps_what_at_least_half_covers(tmp_path: Path) -> None:
    mask = np.zeros((32, 64), np.uint8)
    mask[0, 0] = 255  # A quarter of its pixel in half the size.
    mask[2, 2:4] = 255  # Half.
    mask[4:6, 4:6] = 255  # All.
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    shrunk = read_mask(tmp_path / "mask.png", 16, 32)
    assert shrunk.shape == (16, 32)
    assert {(int(y), int(x)) for y, x in np.argwhere(shrunk)} == {(1, 1), (2, 2)}


@pytest.mark.parametrize(
    ("folders", "good"),
    [
        ("OK NG", "OK"),
        ("normal abnormal", "normal"),
        ("Pass Fail", "Pass"),
        ("IO NIO", "IO"),
        ("i.O. n.i.O.", "i.O."),
        ("gut Ausschuss", "gut"),
        ("lot1/OK lot1/NG", "lot1/OK"),
        ("good camera1", "good"),
        ("train/OK test/OK test/NG", "train/OK"),
    ],
)
def test_good_beside_defective_images_is_refused_and_the_good_folder_named(
    tmp_path: Path, folders: str, good: str
) -> None:
    for folder in folders.split():
        write_image(tmp_path / folder / "000.png")
    with pytest.raises(EdgekdError, match=f"name the folder of good images, {tmp_path / good}$"):
        find_good_images(tmp_path)
    assert find_good_images(tmp_path / good) == [tmp_path / good / "000.png"]


def test_good_folders_of_several_lots_are_named(tmp_path: Path) -> None:
    for folder in ("lot1/OK", "lot1/NG", "lot2/OK", "lot2/NG"):
        write_image(tmp_path / folder / "000.png")
    with pytest.raises(EdgekdError, match=r"lot1 holds OK beside NG: .* those of \S+/lot1/OK, \S+/lot2/OK can"):
        find_good_images(tmp_path)


def test_defective_images_beside_unnamed_folders_are_refused(tmp_path: Path) -> None:
    for name in ("camera1/0.png", "camera2/0.png", "scratches/0.png"):
        write_image(tmp_path / name)
    with pytest.raises(EdgekdError, match="holds camera1, camera2, scratches: name the folder of good images"):
        find_good_images(tmp_path)


@pytest.mark.parametrize("names", ["camera1 camera2 lot7/night", "OK_1 OK_2", "good/lot1 good/lot2"])
def test_folders_that_do_not_tell_parts_apart_are_taken_whole(tmp_path: Path, names: str) -> None:
    images = [write_image(tmp_path / name / "0.png") for name in names.split()]
    assert find_good_images(tmp_path) == images


def test_a_folder_without_images_does_not_count(tmp_path: Path) -> None:
    image = write_image(tmp_path / "good" / "0.png")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "list.txt").write_text("no image")
    assert find_good_images(tmp_path) == [image]


def test_files_that_are_named_as_good_and_defective_ones_are_refused_with_counts(tmp_path: Path) -> None:
    for name in ("part1_OK", "part2_OK", "part3_NG", "overview"):
        write_image(tmp_path / f"{name}.png")
    with pytest.raises(EdgekdError, match=r"3 kinds \(2 .* good, .*, 1 .* defective, .* part3_NG\.png, 1 .* neither"):
        find_good_images(tmp_path)


def test_files_of_one_kind_are_taken(tmp_path: Path) -> None:
    images = [write_image(tmp_path / f"line_pass_{number}.png") for number in range(3)]
    assert find_good_images(tmp_path) == images
