"""Image files are checked before they are decoded, and what their decoder warns of is an error."""

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgekd.data.copies import group_copies
from edgekd.data.image_files import MEMORY_VARIABLE
from edgekd.data.images import decode_pixels, list_images, read_image
from edgekd.errors import EdgekdError, ImageError
from tests.data.worst_files import chunk, png, zeros

COLOURS = np.random.default_rng(0).integers(0, 256, (70, 60, 3), np.uint8)
SMOOTH = cv2.resize(COLOURS[:12, :16], (203, 151), interpolation=cv2.INTER_CUBIC)


def encoded(image: np.ndarray, suffix: str, *settings: int) -> bytes:
    return cv2.imencode(f".{suffix}", image, settings)[1].tobytes()


def saved(image: np.ndarray, kind: str, **settings) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image if image.ndim == 2 else image[:, :, ::-1]).save(file, kind, **settings)
    return file.getvalue()


WHOLE = {
    "png": encoded(SMOOTH, "png"),
    "png of several chunks": encoded(cv2.resize(COLOURS, (300, 300)), "png"),
    "jpeg": encoded(SMOOTH, "jpg"),
    "jpeg of grey": encoded(SMOOTH[:, :, 0], "jpg"),
    "jpeg, progressive": encoded(SMOOTH, "jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg 2000": encoded(SMOOTH, "jp2"),
    "bmp": encoded(SMOOTH, "bmp"),
    "webp": encoded(SMOOTH, "webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "webp, lossless": encoded(SMOOTH, "webp"),
    "pgm": encoded(SMOOTH[:, :, 0], "pgm"),
    "pgm of 16 bits": encoded(SMOOTH[:, :, 0].astype(np.uint16) * 257, "pgm"),
    "ppm": encoded(SMOOTH, "ppm"),
    "pbm": encoded(SMOOTH[:, :, 0], "pbm"),
    "tiff": saved(SMOOTH, "tiff"),
    "tiff of 16 bits": encoded(SMOOTH.astype(np.uint16) * 257, "tif"),
    "tiff, LZW": saved(SMOOTH, "tiff", compression="tiff_lzw"),
    "tiff, deflate": saved(SMOOTH, "tiff", compression="tiff_adobe_deflate"),
    "gif": saved(SMOOTH[:, :, 0], "gif"),
}


@pytest.mark.parametrize("suffix", ["pgm", "ppm", "pbm", "pnm", "jpe", "jfif", "jp2", "dib", "gif"])
def test_what_opencv_reads_is_listed_and_read(suffix, tmp_path):
    image = COLOURS[:, :, 0] if suffix in ("pgm", "pbm") else COLOURS
    written = "jpg" if suffix == "jfif" else suffix
    assert cv2.imwrite(str(tmp_path / f"a.{written}"), image)
    (tmp_path / f"a.{written}").rename(tmp_path / f"a.{suffix.upper()}")
    assert [read_image(path).shape for path in list_images(tmp_path)] == [(70, 60, 3)]


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_file_is_read_to_the_pixels_that_opencv_reads(kind):
    expected = cv2.imdecode(np.frombuffer(WHOLE[kind], np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    pixels = decode_pixels(WHOLE[kind], kind)
    assert pixels.dtype == expected.dtype
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_is_cut_anywhere_is_refused(kind):
    data = WHOLE[kind]
    ends = {*range(0, len(data), max(1, len(data) // 25)), *range(len(data) - 20, len(data))}
    for end in ends:
        with pytest.raises(ImageError, match=r"is (empty|cut off|damaged)|cannot be read as an image"):
            decode_pixels(data[:end], kind)


@pytest.mark.parametrize("padding", [b"", b"\x00" * 8192, b"\xff" * 8192, b"\x00" * 100_000])
@pytest.mark.parametrize("kind", ["png", "jpeg", "jpeg of grey", "jpeg, progressive"])
def test_padding_behind_an_image_does_not_cut_it_off_and_does_not_make_it_whole(kind, padding):
    data = WHOLE[kind]
    assert np.array_equal(decode_pixels(data + padding, "padded"), decode_pixels(data, "plain"))
    for length in (len(data) // 2, len(data) * 9 // 10, len(data) - 2):
        with pytest.raises(ImageError, match=r"is (cut off|damaged)"):
            decode_pixels(data[:length] + padding, "cut")


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("image", [SMOOTH, SMOOTH[:, :, 0]], ids=["colour", "grey"])
def test_a_jpeg_is_turned_as_its_camera_was_held(image, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    data = saved(image, "jpeg", exif=exif)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert expected.shape[:2] == (SMOOTH.shape[:2] if orientation not in (5, 6, 7, 8) else SMOOTH.shape[1::-1])
    assert np.array_equal(decode_pixels(data, "turned"), expected)


def test_what_libjpeg_warns_of_is_an_error():
    data = bytearray(WHOLE["jpeg"])
    at = data.find(b"\xff\xda") + 200
    data[at : at + 6] = b"\xff\xd3abcd"  # A restart that the file does not have.
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    with pytest.raises(ImageError, match=r"a\.jpg is damaged, its decoder reports 'Corrupt JPEG data: .*copy the file"):
        decode_pixels(bytes(data), "a.jpg")


@pytest.mark.parametrize("at", [20, 45, -30, -14])
def test_a_png_whose_checksum_is_wrong_is_an_error(at):
    data = bytearray(WHOLE["png"])
    data[at] ^= 1
    with pytest.raises(ImageError, match=r"a\.png is (damaged: the checksum of its \w+ chunk|cut off)"):
        decode_pixels(bytes(data), "a.png")


def test_a_damaged_name_of_a_chunk_does_not_break_the_line():
    data = WHOLE["png"].replace(b"IDAT", b"ID\nT", 1)
    with pytest.raises(ImageError, match=r"the checksum of its ID\\nT chunk"):
        decode_pixels(data, "a.png")


def test_a_png_whose_pixels_are_too_few_is_an_error():
    assert decode_pixels(png(200, 61, 8, 2, zeros(61 * 601 + 1)), "whole").shape == (61, 200, 3)
    with pytest.raises(ImageError, match="cannot be read as an image"):
        decode_pixels(png(200, 61, 8, 2, zeros(3000)), "too few")


@pytest.mark.parametrize("kind", ["tiff, LZW", "tiff, deflate"])
def test_a_damaged_strip_of_a_tiff_is_an_error_where_opencv_paints_it_black(kind):
    data = bytearray(WHOLE[kind])
    data[5000:5100] = b"\xff\x00" * 50
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    with pytest.raises(ImageError, match=r"a\.tif is damaged"):
        decode_pixels(bytes(data), "a.tif")


def test_a_strip_of_a_tiff_that_lies_beyond_its_end_is_an_error():
    whole = WHOLE["tiff"]
    offset = whole.find(b"\x11\x01\x04\x00")  # StripOffsets.
    data = whole[: offset + 8] + (len(whole) - 90).to_bytes(4, "little") + whole[offset + 12 :]
    with pytest.raises(ImageError, match="is cut off"):
        decode_pixels(data, "a.tif")


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
    with pytest.raises(ImageError, match="holds 2 images"):
        decode_pixels(bytes(data), "a.tif")
    data[second + 10] = 1
    assert np.array_equal(decode_pixels(bytes(data), "a.tif"), COLOURS)


def test_an_animation_is_refused(tmp_path):
    animation = cv2.Animation()
    animation.frames, animation.durations = [COLOURS, 255 - COLOURS], [10, 10]
    for suffix in ("gif", "webp", "png"):
        assert cv2.imwriteanimation(str(tmp_path / f"a.{suffix}"), animation)
        with pytest.raises(ImageError, match="holds 2 images"):
            read_image(tmp_path / f"a.{suffix}")


def test_how_much_memory_an_image_may_take_can_be_set(monkeypatch):
    data = encoded(np.zeros((1000, 2000, 3), np.uint8), "png")
    monkeypatch.setenv(MEMORY_VARIABLE, "5")
    with pytest.raises(
        ImageError, match=r"2000 x 1000 pixels: reading it takes 6 MB .* more than the 5 MB .* set EDGE"
    ):
        decode_pixels(data, "a.png")
    monkeypatch.setenv(MEMORY_VARIABLE, "7")
    assert decode_pixels(data, "a.png").shape == (1000, 2000, 3)
    monkeypatch.setenv(MEMORY_VARIABLE, "much")
    with pytest.raises(EdgekdError, match="EDGEKD_IMAGE_MEMORY_MB must be a positive number of megabytes, got 'much'"):
        decode_pixels(data, "a.png")


def test_a_file_of_many_gigabytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.write(WHOLE["png"])
        file.truncate(20 << 30)  # A hole: it takes no space.
    with pytest.raises(ImageError, match=r"a\.png has 21475 MB, more than the 180 MB of memory"):
        read_image(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no named pipes in folders")
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device", "a folder"])
def test_what_is_not_a_file_is_refused_without_being_opened(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # The path of a socket may have 107 bytes.
    path = Path("a.png")
    listener = socket.socket(socket.AF_UNIX)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        listener.bind(str(path))
    elif kind == "a device":
        path.symlink_to("/dev/tty")
    else:
        path.mkdir()
    with listener, pytest.raises(ImageError, match=rf"a\.png is {kind}, not an image file"):
        read_image(path)
    assert group_copies([path]) == [0]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become someone else")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE["png"])
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(ImageError, match=r"cannot read .*a\.png: Permission denied"):
            read_image(path)
    finally:
        os.seteuid(0)


MEASURE = """
import sys, time
from edgekd.data.images import decode_image, decode_pixels
from edgekd.errors import ImageError
from tests.data.worst_files import WORST, encoded

def megabytes(field):
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(field)).split()[1]) / 1e3

decode_pixels(encoded(".jpg"), "idle"); decode_pixels(encoded(".tif", 259, 5), "idle")
for name, make in WORST.items():
    data = make()
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    idle, started = megabytes("VmRSS") - len(data) / 1e6, time.process_time()
    try:
        decode_image(data, "it")
        answer = "was read"
    except ImageError as error:
        answer = str(error)
    print(name, megabytes("VmHWM") - idle, time.process_time() - started, answer, sep="|")
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux alone tells the peak of memory")
def test_no_file_that_is_refused_takes_more_than_200_megabytes_or_two_seconds():
    run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    rows = [line.split("|") for line in run.stdout.splitlines()]
    assert len(rows) > 25
    assert [row for row in rows if row[3] == "was read"] == []
    assert [row for row in rows if float(row[1]) > 200] == []
    assert [row for row in rows if float(row[2]) > 2] == []


def test_an_ancillary_chunk_is_read_over():
    whole = WHOLE["png"]
    data = whole[:33] + chunk(b"tEXt", b"Comment\0made here") + whole[33:]
    assert np.array_equal(decode_pixels(data, "a.png"), SMOOTH)


@pytest.mark.parametrize(
    "data",
    [
        WHOLE["jpeg 2000"][:12] + b"\0\0\0\1ftyp" + b"\xff" * 8 + bytes(100),
        b"II\x2b\0\x08\0\0\0" + b"\xff" * 8 + bytes(100),
        b"MM\0\x2a" + b"\xff" * 4 + bytes(100),
    ],
    ids=["jpeg 2000", "big tiff", "tiff"],
)
def test_a_place_beyond_any_file_is_an_error(data):
    with pytest.raises(ImageError, match="is cut off"):
        decode_pixels(data, "a.img")
