from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data.images import as_bgr8, list_images, read_image
from edgekd.data.resizing import resize_image
from edgekd.errors import EdgekdError, ImageError


def write(path: Path, image: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)


def test_a_colour_png_is_read_as_it_was_written(tmp_path, colours):
    assert np.array_equal(read_image(write(tmp_path / "a.png", colours)), colours)


def test_grey_becomes_three_equal_channels(tmp_path, colours):
    image = read_image(write(tmp_path / "grey.png", colours[:, :, 0]))
    assert image.shape == (40, 30, 3)
    assert all(np.array_equal(image[:, :, channel], colours[:, :, 0]) for channel in range(3))


def test_sixteen_bits_are_scaled_to_eight(tmp_path, colours):
    deep = colours.astype(np.uint16) * 256 + 255
    assert np.array_equal(read_image(write(tmp_path / "deep.png", deep)), colours)


def test_sixteen_bit_grey_is_scaled_to_eight(tmp_path, colours):
    image = read_image(write(tmp_path / "deep.tif", colours[:, :, 0].astype(np.uint16) * 256))
    assert np.array_equal(image[:, :, 1], colours[:, :, 0])


def test_transparency_is_dropped(tmp_path, colours):
    alpha = np.full((40, 30, 1), 100, np.uint8)
    assert np.array_equal(read_image(write(tmp_path / "rgba.png", np.concatenate([colours, alpha], 2))), colours)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_off_file_is_refused_not_painted_grey(tmp_path, colours, suffix, share):
    path = write(tmp_path / f"cut.{suffix}", cv2.resize(colours, (300, 300)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"cut\.\w+ is cut off"):
        read_image(path)


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"no image at all", "cannot be read as an image")])
def test_a_file_that_is_no_image_is_refused(tmp_path, content, said):
    path = tmp_path / "text.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=said):
        read_image(path)


def test_an_image_of_three_pixels_is_refused_with_what_is_needed(tmp_path):
    path = write(tmp_path / "tiny.png", np.zeros((1, 3, 3), np.uint8))
    with pytest.raises(ImageError, match="is 3 x 1 pixels: it must be at least 16 a side"):
        read_image(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"cannot read .*gone\.png: No such file"):
        read_image(tmp_path / "gone.png")


def test_a_folder_is_listed_sorted_without_hidden_and_foreign_files(tmp_path, colours):
    (tmp_path / "deeper").mkdir()
    wanted = [write(tmp_path / "b.JPG", colours), write(tmp_path / "deeper" / "a.png", colours)]
    write(tmp_path / ".hidden.png", colours)
    (tmp_path / "notes.txt").write_text("no image")
    assert list_images(tmp_path) == sorted(wanted)


def test_a_missing_and_an_empty_folder_are_told_apart(tmp_path):
    with pytest.raises(EdgekdError, match="no such folder"):
        list_images(tmp_path / "gone")
    with pytest.raises(EdgekdError, match="no image in"):
        list_images(tmp_path)


def test_shrinking_averages_areas():
    checks = np.zeros((8, 8, 3), np.uint8)
    checks[::2] = 200
    assert np.array_equal(resize_image(checks, 4, 4), np.full((4, 4, 3), 100, np.uint8))


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_a_stated_bit_depth_scales_every_image_the_same(tmp_path, bits, suffix):
    for name, largest in (("bright", 2**bits - 1), ("dark", 2 ** (bits - 3))):
        values = np.linspace(0, largest, 400).astype(np.uint16).reshape(20, 20)
        image = read_image(write(tmp_path / f"{name}.{suffix}", values), bits)
        assert np.array_equal(image[:, :, 1], values >> (bits - 8))


@pytest.mark.parametrize("bits", [10, 12])
def test_few_bits_in_16_are_refused_where_no_depth_is_stated(tmp_path, bits):
    path = write(tmp_path / "few.png", np.full((20, 20), 2**bits - 1, np.uint16))
    with pytest.raises(ImageError, match=rf"few\.png .* no value above {2**bits - 1}: .* such as --bit-depth 12"):
        read_image(path)


def test_values_beyond_the_stated_depth_are_refused(tmp_path):
    path = write(tmp_path / "deep.png", np.full((20, 20), 5000, np.uint16))
    with pytest.raises(ImageError, match=r"deep\.png holds the value 5000, but 12 bits were stated"):
        read_image(path, 12)


def test_files_of_8_bits_stay_as_they_are_under_a_stated_depth(tmp_path, colours):
    assert np.array_equal(read_image(write(tmp_path / "a.png", colours), 12), colours)


def test_what_is_8_bit_bgr_already_is_not_copied(colours):
    assert as_bgr8(colours, "it", 12) is colours
