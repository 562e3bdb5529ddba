"""What the directories of a TIFF declare, which EXIF uses too: sizes, places of the pixels, the camera's rotation."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from edgekd.data.declared import COLOURS, CutOffError, DamagedError, Header, decoded_bytes

MOST_PAGES = 1000  # Offsets in a damaged TIFF may lead round in circles.
KIND, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 254, 256, 257, 258, 259, 262, 274, 277
TILE_WIDTH, TILE_HEIGHT = 322, 323
OFFSETS, COUNTS = (273, 324), (279, 325)  # Of strips, of tiles.
PLACES = frozenset(OFFSETS + COUNTS)
BLACK_IS_ZERO, RGB = 1, 2
# Bytes of each type of tag in a TIFF, and how to read those that are whole numbers.
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


def tiff_header(data: bytes) -> Header:
    """Reads what a TIFF declares.

    Args:
        data: The file's bytes.

    Raises:
        CutOffError: It ends before what it declares.
        DamagedError: It contradicts itself.
        struct.error: It ends within a number.
    """
    images, first = 0, None
    order, wide, directory = _start(data)
    for tags in _directories(data, order, wide, directory):
        first = first or tags
        images += not tags.get(KIND, (0,))[0] & 5  # Neither a smaller copy (1) nor a transparency mask (4).
    if first is None or WIDTH not in first or HEIGHT not in first:
        raise DamagedError("its first page has no size")
    number = {tag: values[0] for tag, values in first.items() if values}
    width, height = number[WIDTH], number[HEIGHT]
    samples, depth = number.get(SAMPLES, 1), number.get(BITS, 1)
    is_raw = number.get(COMPRESSION, 1) == 1
    if is_raw:
        _require_strips(data, first, width * height * samples * depth // 8)
    photometric = number.get(PHOTOMETRIC)
    grey = samples == 1 and depth in (8, 16) and photometric == BLACK_IS_ZERO
    plain = depth == 8 and (grey or (samples == 3 and photometric == RGB)) and number.get(ORIENTATION, 1) == 1
    # Of 8 bits and fewer OpenCV makes RGBA, and does not look at libtiff's errors.
    decoded = 4 if depth <= 8 else decoded_bytes(depth, 1 if grey else COLOURS)
    # Strips and tiles are decoded into memory of their own: up to a whole image, or what a tile claims to measure.
    tile = max(width, number.get(TILE_WIDTH, 0)) * max(height, number.get(TILE_HEIGHT, 0)) * samples * depth / 8
    memory = decoded + tile / max(1, width * height)
    lenient = depth <= 8 and not is_raw
    return Header(width, height, memory, grey, max(1, images), lenient=lenient, plain=plain)


def _require_strips(data: bytes, tags: dict[int, tuple[int, ...]], needed: int) -> None:
    """Requires that the strips or tiles of an image without compression are in the file, and are enough."""
    offsets, counts = (next((tags[tag] for tag in kinds if tag in tags), ()) for kinds in (OFFSETS, COUNTS))
    present = sum(counts) if counts else len(data)
    if present < needed or any(at + count > len(data) for at, count in zip(offsets, counts, strict=False)):
        raise CutOffError


def _start(data: bytes) -> tuple[str, bool, int]:
    """The order of bytes, whether offsets are wide (BigTIFF), and where the first directory is."""
    order = "<" if data.startswith(b"II") else ">"
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    if version not in (42, 43):
        raise DamagedError("it begins like a TIFF, but has no version of one")
    wide = version == 43
    (directory,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 8 if wide else 4)
    return order, wide, directory


def _directories(data: bytes, order: str, wide: bool, directory: int) -> Iterator[dict[int, tuple[int, ...]]]:
    """The tags of each page that are numbers: where its strips and tiles are, and the first number of each other."""
    offset_kind, count_kind, entry_bytes, value_at = ("Q", "Q", 20, 12) if wide else ("I", "H", 12, 8)
    for _ in range(MOST_PAGES):
        if not directory:
            return
        (entries,) = struct.unpack_from(order + count_kind, data, directory)
        first = directory + struct.calcsize(count_kind)
        end = first + entries * entry_bytes
        if end > len(data):
            raise CutOffError
        tags: dict[int, tuple[int, ...]] = {}
        outside = 0
        for entry in range(first, end, entry_bytes):
            tag, kind = struct.unpack_from(f"{order}HH", data, entry)
            (count,) = struct.unpack_from(order + offset_kind, data, entry + 4)
            size, at = TYPE_BYTES.get(kind, 1) * count, entry + value_at
            if size > struct.calcsize(offset_kind):
                (at,) = struct.unpack_from(order + offset_kind, data, at)
                outside += size
            if kind in NUMBERS:
                values = count if tag in PLACES and at + size <= len(data) else 1
                tags[tag] = struct.unpack_from(f"{order}{values}{NUMBERS[kind]}", data, at)
        if outside > len(data):  # Readers copy each tag: many that overlap would take memory without end.
            raise DamagedError(f"its tags claim {outside} bytes of a file of {len(data)}")
        yield tags
        (directory,) = struct.unpack_from(order + offset_kind, data, end)


def orientation_of(jpeg: bytes) -> int:
    """How a camera held the image of a JPEG: EXIF's number from 1 (as it is) to 8; 1 where there is none."""
    at = jpeg.find(b"Exif\0\0", 0, 1 << 17)
    if at < 0:
        return 1
    exif = jpeg[at + 6 : at + 6 + (1 << 16)]
    try:
        order, wide, directory = _start(exif)
        tags = next(_directories(exif, order, wide, directory))
    except (struct.error, StopIteration, OverflowError, DamagedError, CutOffError):
        return 1
    (found, *_) = tags.get(ORIENTATION, (1,))
    return found if 1 <= found <= 8 else 1
