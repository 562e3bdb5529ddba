"""What the bytes of an image file tell before it is decoded: whether it is whole, and how many images it holds."""

from __future__ import annotations

import struct

import cv2
import numpy as np

JPEG, PNG, GIF = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8"
PADDING = b"\x00\xff"  # With which a camera fills its buffer up behind the image.
TIFF_KIND = 254  # NewSubfileType, whose bits tell smaller copies (1) and transparency masks (4) from images.
MOST_PAGES = 1000  # Offsets in a damaged TIFF may lead round in circles.


def is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end mark; OpenCV would silently paint the rest grey.

    Args:
        data: The file's bytes; padding behind the image does not count.
    """
    if data.startswith(JPEG):
        return b"\xff\xd9" not in data.rstrip(PADDING)[-4096:]
    if data.startswith(PNG):
        return b"IEND" not in data.rstrip(PADDING)[-4096:]
    return False


def count_images(data: bytes) -> int:
    """How many images a file holds, of which OpenCV would read the first: pages of a TIFF, frames of an animation.

    Args:
        data: The file's bytes.

    Returns:
        1 for a damaged file too. Thumbnails and masks inside a TIFF do not count. Of an animated WebP or PNG 2, however
        many frames it has.
    """
    if data.startswith((b"II", b"MM")):
        try:
            return max(1, _count_pages(data))
        except struct.error:
            return 1
    if data.startswith(GIF):
        return max(1, len(cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)[1]))
    if data.startswith(PNG):
        return 2 if b"acTL" in data[: max(0, data.find(b"IDAT"))] else 1
    is_animated_webp = data.startswith(b"RIFF") and data[8:16] == b"WEBPVP8X" and data[20:21] and data[20] & 2
    return 2 if is_animated_webp else 1


def _count_pages(data: bytes) -> int:
    order = "<" if data.startswith(b"II") else ">"
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    if version not in (42, 43):
        return 1
    # BigTIFF (43) has wider offsets and counts than TIFF.
    wide = version == 43
    offset_kind, count_kind, entry_bytes, value_at = ("Q", "Q", 20, 12) if wide else ("I", "H", 12, 8)
    (directory,) = struct.unpack_from(order + offset_kind, data, 8 if wide else 4)
    images = 0
    for _ in range(MOST_PAGES):
        if not directory:
            break
        (entries,) = struct.unpack_from(order + count_kind, data, directory)
        first = directory + struct.calcsize(count_kind)
        if first + entries * entry_bytes > len(data):
            break
        kinds = 0
        for entry in range(first, first + entries * entry_bytes, entry_bytes):
            if struct.unpack_from(f"{order}H", data, entry)[0] == TIFF_KIND:
                (kinds,) = struct.unpack_from(f"{order}I", data, entry + value_at)
        images += not kinds & 5
        (directory,) = struct.unpack_from(order + offset_kind, data, first + entries * entry_bytes)
    return images
