"""What the first bytes of an image file declare, checked against the whole file before anything is decoded.

A few bytes can claim an image of gigabytes. A decoder takes memory for what is claimed, so claims are checked first: by
hand, since image libraries either decode at once or copy whatever the header points to.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import simplejpeg

from edgekd.data.declared import COLOURS, CutOffError, DamagedError, Header, cut_off, decoded_bytes
from edgekd.data.jpeg_scans import scans_are_missing
from edgekd.data.tiff_header import tiff_header
from edgekd.errors import ImageError

JPEG, PNG, GIF, BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM"
JP2, JP2_CODESTREAM = b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51"
FEWEST_BYTES = 100  # A whole JPEG has more.
MOST_CHUNKS = 200_000  # Of a PNG or JPEG 2000 file: writers use thousands at most, and each takes a microsecond.
MOST_SCANS = 100  # Of a progressive JPEG, whose writers use ten: each takes the time of a whole image.
DEFLATE_RATIO = 1032  # Nothing that deflate compresses becomes smaller.
# Memory that decoding takes, in bytes per pixel, measured with OpenCV 5 and libjpeg-turbo; the result is in it.
PROGRESSIVE_BYTES, WEBP_BYTES, GIF_BYTES = 9, 7, 16
PNM = re.compile(
    rb"P([1-6])(?:\s+(?:#[^\n]*\n\s*)*)(\d{1,9})(?:\s+(?:#[^\n]*\n\s*)*)(\d{1,9})\s*(?:#[^\n]*\n\s*)*(\d{0,9})"
)


def read_header(data: bytes, name: str) -> Header:
    """Reads what an image file declares, and checks it against the file.

    Args:
        data: The file's bytes.
        name: What to call it in an error.

    Raises:
        ImageError: It is of no known kind, cut off, or damaged.
    """
    try:
        for signatures, read in _KINDS:
            if data.startswith(signatures):
                return read(data)
    except (CutOffError, struct.error, IndexError, OverflowError):  # The last where a place is beyond any file.
        raise cut_off(name) from None
    except DamagedError as error:
        raise ImageError(f"{name} is damaged: {error}; copy the file again") from None
    raise ImageError(f"{name} cannot be read as an image: it is damaged or not an image file")


def _jpeg(data: bytes) -> Header:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError) as error:  # KeyError where the colours are sampled as no writer does.
        if len(data) < FEWEST_BYTES or "Premature" in str(error):
            raise CutOffError from error
        raise DamagedError(f"its JPEG header cannot be read ({error})") from error
    if (scans := data.count(b"\xff\xda")) > MOST_SCANS:
        raise DamagedError(f"it holds {scans} scans, and an image has {MOST_SCANS} at most")
    if scans_are_missing(data):
        raise CutOffError
    grey = colours == "Gray"
    # Progressive ones are kept as coefficients until their last scan. In compressed data 0xFF stands before no 0xC2.
    progressive = b"\xff\xc2" in data
    return Header(width, height, PROGRESSIVE_BYTES if progressive else 1 if grey else COLOURS, grey)


def _png(data: bytes) -> Header:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    images, compressed, transparent = 1, 0, False
    view, at = memoryview(data), len(PNG)
    for _ in range(MOST_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise CutOffError
        if zlib.crc32(view[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            letters = ascii(kind.decode("latin-1"))[1:-1]  # Damage may have put anything there.
            raise DamagedError(f"the checksum of its {letters} chunk at byte {at} is wrong")
        images = 2 if kind == b"acTL" else images
        transparent |= kind == b"tRNS"
        compressed += length if kind == b"IDAT" else 0
        if kind == b"IEND":
            break
        at = end
    else:
        raise DamagedError(f"it holds more than {MOST_CHUNKS} chunks")
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    if compressed * DEFLATE_RATIO < height * (width * samples * depth // 8):
        raise DamagedError(f"it declares {width} x {height} pixels, more than its {len(data)} bytes can hold")
    grey = colour == 0 and not transparent
    return Header(width, height, decoded_bytes(depth, 1 if grey else COLOURS), grey, images)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header(width, height, GIF_BYTES)


def count_gif_images(data: bytes) -> int:
    """How many images a GIF holds: 2 where there are several. They are decoded, so its size must be known to be small.

    Args:
        data: The file's bytes.
    """
    images = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE, range=(0, 2))[1]
    return max(1, len(images))


def is_gif(data: bytes) -> bool:
    """Whether a file is a GIF."""
    return data.startswith(GIF)


def _bmp(data: bytes) -> Header:
    (pixels,) = struct.unpack_from("<I", data, 10)
    (header,) = struct.unpack_from("<I", data, 14)
    compression = 0
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    width, height = abs(width), abs(height)
    if compression not in (1, 2) and pixels + height * ((width * bits + 31) // 32 * 4) > len(data):
        raise CutOffError
    return Header(width, height, COLOURS)


def _pnm(data: bytes) -> Header:
    if (found := PNM.match(data[:4096])) is None:
        raise CutOffError
    kind, width, height = (int(found[group]) for group in (1, 2, 3))
    deep = kind not in (1, 4) and int(found[4] or 0) > 255
    samples = 3 if kind in (3, 6) else 1
    row = {1: width, 4: -(-width // 8)}.get(kind, width * samples * (1 + deep))  # Text takes that and more.
    if row * height > len(data):
        raise CutOffError
    grey = kind in (2, 5)
    return Header(width, height, decoded_bytes(16 if deep else 8, 1 if grey else COLOURS), grey)


def _webp(data: bytes) -> Header:
    if data[8:12] != b"WEBP":
        raise DamagedError("it is a RIFF file, but not a WebP image")
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise CutOffError
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return Header(width, height, WEBP_BYTES, images=2 if data[20] & 2 else 1)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), WEBP_BYTES)
    width, height = struct.unpack_from("<HH", data, 26)
    return Header(width & 0x3FFF, height & 0x3FFF, WEBP_BYTES)


def _jpeg2000(data: bytes) -> Header:
    at = 0 if data.startswith(JP2_CODESTREAM) else _codestream(data)
    if not data.startswith(JP2_CODESTREAM, at):
        raise DamagedError("its codestream does not begin with a size")
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    (components,) = struct.unpack_from(">H", data, at + 40)
    if components > 4:
        raise DamagedError(f"it declares {components} colour components")
    depth = max((data[at + 42 + 3 * each] & 0x7F) + 1 for each in range(components or 1))
    # OpenJPEG keeps 32 bits per component.
    return Header(max(0, right - left), max(0, bottom - top), 4 * components + 4 + decoded_bytes(depth, COLOURS))


def _codestream(data: bytes) -> int:
    """Where the image begins among the boxes of a JP2 file."""
    at = 0
    for _ in range(MOST_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if kind == b"jp2c":
            return at + head
        if length < head:
            break
        at += length
    raise DamagedError("its boxes hold no image")


_KINDS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Header]], ...] = (
    (JPEG, _jpeg),
    (PNG, _png),
    ((b"II", b"MM"), tiff_header),
    (BMP, _bmp),
    (tuple(f"P{kind}".encode() for kind in range(1, 7)), _pnm),
    (b"RIFF", _webp),
    (GIF, _gif),
    ((JP2, JP2_CODESTREAM), _jpeg2000),
)
