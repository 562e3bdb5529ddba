"""Tests of images from a camera's bytes: packed here by big integers, one bit after another."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.station.cameras.pixel_formats import is_known, to_image
from edgekd.station.error_codes import ErrorCode, StationError

WIDTH, HEIGHT = 10, 7
PATTERNS = {"RG": ("RG", "GB"), "GR": ("GR", "BG"), "GB": ("GB", "RG"), "BG": ("BG", "GR")}
# A saturated colour as each convention computes it, by hand from its definition: R 200, G 40, B 90.
COLOUR = (90, 40, 200)


def samples(bits: int, seed: int = 0) -> list[int]:
    values = np.random.default_rng(seed).integers(0, 1 << bits, WIDTH * HEIGHT)
    values[:3] = (0, (1 << bits) - 1, 1)
    return [int(value) for value in values]


def stream(values: list[int], bits: int) -> bytes:
    """Bits one after another, the lowest first."""
    whole = sum(value << (index * bits) for index, value in enumerate(values))
    return whole.to_bytes((len(values) * bits + 7) // 8, "little")


def gige_packed(values: list[int], bits: int) -> bytes:
    """GigE Vision 1: high byte, both low parts, high byte."""
    low, data = bits - 8, bytearray()
    for first, second in zip(values[::2], [*values[1::2], 0], strict=False):
        rest = (1 << low) - 1
        data += bytes([first >> low, (first & rest) | (second & rest) << 4, second >> low])
    return bytes(data)


def whole_bytes(values: list[int], bits: int) -> bytes:
    return b"".join(value.to_bytes(1 if bits == 8 else 2, "little") for value in values)


@pytest.mark.parametrize(
    ("name", "bits", "pack"),
    [
        *((f"Mono{bits}", bits, whole_bytes) for bits in (8, 10, 12, 14, 16)),
        *((f"Mono{bits}p", bits, stream) for bits in (10, 12, 14)),
        *((f"Mono{bits}Packed", bits, gige_packed) for bits in (10, 12)),
    ],
)
def test_mono_of_every_packing_is_read_exactly(name, bits, pack):
    values = samples(bits)

    image, depth = to_image(pack(values, bits), name, WIDTH, HEIGHT)

    assert depth == bits
    assert image.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert image.tolist() == np.reshape(values, (HEIGHT, WIDTH)).tolist()


@pytest.mark.parametrize("name", ["Mono10p", "Mono12p", "Mono14p", "Mono10Packed", "Mono12Packed"])
def test_an_odd_number_of_packed_pixels_is_read_to_the_last(name):
    bits = int(name[4:6])
    values = samples(bits)[:63]
    data = stream(values, bits) if name.endswith("p") else gige_packed(values, bits)[: (63 * 3 + 1) // 2]

    image, _ = to_image(data, name, 9, 7)

    assert image.reshape(-1).tolist() == values


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("bits", "packing"), [(8, ""), (10, ""), (10, "p"), (10, "Packed"), (12, "p"), (12, "Packed")])
def test_a_colour_filter_gives_the_colour_back(pattern, bits, packing):
    colour = [value << (bits - 8) for value in COLOUR]
    rows = PATTERNS[pattern]
    mosaic = [colour["BGR".index(rows[y % 2][x % 2])] for y in range(8) for x in range(10)]
    pack = {"": whole_bytes, "p": stream, "Packed": gige_packed}[packing]

    image, depth = to_image(pack(mosaic, bits), f"Bayer{pattern}{bits}{packing}", 10, 8)

    assert depth == bits
    assert image.shape == (8, 10, 3)
    assert (image == colour).all()


@pytest.mark.parametrize(
    ("name", "order"), [("RGB8", "RGB"), ("BGR8", "BGR"), ("BGRa8", "BGRA"), ("RGBa8", "RGBA"), ("RGB8Packed", "RGB")]
)
def test_colours_come_in_the_order_of_opencv(name, order):
    bgr = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    channels = {"B": bgr[..., 0], "G": bgr[..., 1], "R": bgr[..., 2], "A": np.full((HEIGHT, WIDTH), 7, np.uint8)}

    image, depth = to_image(np.stack([channels[each] for each in order], -1).tobytes(), name, WIDTH, HEIGHT)

    assert depth == 8
    assert np.array_equal(image, bgr)


def test_colours_of_more_than_8_bits_keep_them():
    bgr = np.random.default_rng(1).integers(0, 1 << 12, (HEIGHT, WIDTH, 3), np.uint16)

    image, depth = to_image(bgr[..., ::-1].astype("<u2").tobytes(), "RGB12", WIDTH, HEIGHT)

    assert depth == 12
    assert np.array_equal(image, bgr)


def luma_of(kr: float, kb: float, full: bool) -> tuple[int, int, int]:
    blue, green, red = COLOUR
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    if not full:
        luma, cb, cr = 16 + luma * 219 / 255, cb * 224 / 255, cr * 224 / 255
    return round(luma), round(128 + cb), round(128 + cr)


@pytest.mark.parametrize(
    ("kind", "kr", "kb", "full"),
    [
        ("YUV", 0.299, 0.114, True),
        ("YCbCr", 0.299, 0.114, True),
        ("YCbCr601_", 0.299, 0.114, False),
        ("YCbCr709_", 0.2126, 0.0722, False),
    ],
)
@pytest.mark.parametrize("layout", ["8", "8_UYV", "422_8", "422_8_UYVY", "411_8_UYYVYY"])
def test_luma_and_chroma_give_the_colour_back(kind, kr, kb, full, layout):
    y, u, v = luma_of(kr, kb, full)
    groups = {
        "8": [y, u, v] * 4,
        "8_UYV": [u, y, v] * 4,
        "422_8": [y, u, y, v] * 2,
        "422_8_UYVY": [u, y, v, y] * 2,
        "411_8_UYYVYY": [u, y, y, v, y, y],
    }
    name = kind + (layout if kind == "YUV" else layout.replace("U", "Cb").replace("V", "Cr"))

    image, _ = to_image(bytes(groups[layout] * 3), name, 4, 3)

    assert image.shape == (3, 4, 3)
    assert np.abs(image.astype(int) - COLOUR).max() <= 3  # Luma and chroma were rounded.


def test_neighbours_that_share_chroma_keep_their_own_luma():
    image, _ = to_image(bytes([10, 128, 200, 128, 255, 128, 0, 128]), "YUV422_8", 4, 1)

    assert image[0].tolist() == [[10] * 3, [200] * 3, [255] * 3, [0] * 3]


def test_padding_between_rows_is_left_out():
    values = samples(12)
    rows = [stream(values[start : start + WIDTH], 12) + b"\xff" for start in range(0, len(values), WIDTH)]

    by_length, _ = to_image(b"".join(rows), "Mono12p", WIDTH, HEIGHT, row_bytes=16)
    by_padding, _ = to_image(b"".join(rows)[:-1], "Mono12p", WIDTH, HEIGHT, row_padding=1)

    assert by_length.reshape(-1).tolist() == by_padding.reshape(-1).tolist() == values


@pytest.mark.parametrize(
    "name", ["Mono1p", "Mono8p", "Mono12s", "BayerXX8", "YUV422_8_UYV", "Coord3D_ABC32f", "JPEG", ""]
)
def test_a_format_that_is_not_known_is_refused_by_its_name(name):
    assert not is_known(name)

    with pytest.raises(StationError, match=f"pixel format {name} is not known") as caught:
        to_image(bytes(1000), name, 4, 4)

    assert caught.value.code == ErrorCode.IMAGE_FORMAT


@pytest.mark.parametrize("name", ["Mono8", "Mono12p", "BayerRG8", "BGR8", "YUV422_8"])
def test_too_few_bytes_are_an_incomplete_image(name):
    with pytest.raises(StationError, match=f"64 x 48 pixels of {name}") as caught:
        to_image(bytes(64 * 48 - 1), name, 64, 48)

    assert caught.value.code == ErrorCode.IMAGE_INCOMPLETE
