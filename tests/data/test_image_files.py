"""What an image file tells before it is decoded."""

import cv2
import numpy as np
import pytest

from edgekd.data.image_files import count_images, is_cut_off
from edgekd.data.images import list_images, read_image
from edgekd.errors import ImageError

COLOURS = np.random.default_rng(0).integers(0, 256, (70, 60, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["pgm", "ppm", "pbm", "pnm", "jpe", "jfif", "jp2", "dib", "gif"])
def test_what_opencv_reads_is_listed_and_read(suffix, tmp_path):
    image = COLOURS[:, :, 0] if suffix in ("pgm", "pbm") else COLOURS
    written = "jpg" if suffix == "jfif" else suffix
    assert cv2.imwrite(str(tmp_path / f"a.{written}"), image)
    (tmp_path / f"a.{written}").rename(tmp_path / f"a.{suffix.upper()}")
    assert [read_image(path).shape for path in list_images(tmp_path)] == [(70, 60, 3)]


@pytest.mark.parametrize("padding", [b"", b"\x00" * 8192, b"\xff" * 8192])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_padding_behind_an_image_does_not_cut_it_off(suffix, padding, tmp_path):
    data = cv2.imencode(f".{suffix}", COLOURS)[1].tobytes()
    (tmp_path / "padded").write_bytes(data + padding)
    (tmp_path / "plain").write_bytes(data)
    assert np.array_equal(read_image(tmp_path / "padded"), read_image(tmp_path / "plain"))
    assert is_cut_off(data[: len(data) // 2] + padding)


def test_a_tiff_of_several_pages_is_refused_with_their_number(tmp_path):
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), [COLOURS, 255 - COLOURS, COLOURS])
    with pytest.raises(ImageError, match=r"a\.tif holds 3 images: expected one a file"):
        read_image(tmp_path / "a.tif")


def test_a_thumbnail_inside_a_tiff_is_no_second_image():
    data = bytearray(cv2.imencodemulti(".tif", [COLOURS, COLOURS])[1].tobytes())
    (first,) = np.frombuffer(data, "<u4", 1, 4)
    entries = int(np.frombuffer(data, "<u2", 1, first)[0])
    (second,) = np.frombuffer(data, "<u4", 1, first + 2 + 12 * entries)
    assert data[second + 2 : second + 4] == b"\xfe\x00"  # NewSubfileType is its first entry.
    assert count_images(bytes(data)) == 2
    data[second + 10] = 1
    assert count_images(bytes(data)) == 1


def test_an_animation_is_refused(tmp_path):
    animation = cv2.Animation()
    animation.frames, animation.durations = [COLOURS, 255 - COLOURS], [10, 10]
    for suffix in ("gif", "webp", "png"):
        assert cv2.imwriteanimation(str(tmp_path / f"a.{suffix}"), animation)
        with pytest.raises(ImageError, match="holds 2 images"):
            read_image(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "webp", "bmp"])
def test_one_image_counts_as_one_and_cut_off_at_any_length_at_most_as_one(suffix):
    data = cv2.imencode(f".{suffix}", COLOURS)[1].tobytes()
    assert {count_images(data[:length]) for length in (len(data), *range(0, 60), len(data) // 2)} == {1}
