"""Files that claim far more than they hold, or hold much that cannot be used: what a decoder would take memory for."""

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

SMALL = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (128, 96))
PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, compressed: bytes, before: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + before + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """Zeros, compressed, and a byte too few at their end."""
    packer = zlib.compressobj(1)
    megabytes, rest = divmod(count - 1, 1 << 20)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join([*pieces, packer.compress(bytes(rest)), packer.flush()])


def encoded(suffix: str, *settings: int) -> bytes:
    return cv2.imencode(suffix, SMALL, settings)[1].tobytes()


def resized_jpeg(width: int, height: int, *settings: int) -> bytes:
    data = bytearray(encoded(".jpg", *settings))
    at = data.find(b"\xff\xc0") if b"\xff\xc0" in data else data.find(b"\xff\xc2")
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


def jpeg_of_scans(width: int, height: int, times: int) -> bytes:
    data = resized_jpeg(width, height, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = data.rfind(b"\xff\xda")
    return data[:scan] + data[scan:-2] * times + data[-2:]


def resized_bmp(width: int, height: int, compression: int = 0) -> bytes:
    data = bytearray(encoded(".bmp"))
    struct.pack_into("<iiHHI", data, 18, width, height, 1, 8 if compression else 24, compression)
    return bytes(data)


def tiff(width: int, height: int, compression: int, *more: tuple[int, int], samples: int = 1, bits: int = 8) -> bytes:
    strip = zlib.compress(bytes(1 << 20))
    tags = {254: 0, 256: width, 257: height, 258: bits, 259: compression, 262: 1 if samples == 1 else 2, 273: 8}
    tags |= {277: samples, 278: height, 279: len(strip), **dict(more)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory


def tiff_of_large_tags() -> bytes:
    """Four thousand tags that all point to the same half megabyte."""
    entries = b"".join(struct.pack("<HHII", 40000 + tag, 1, 500_000, 16) for tag in range(4000))
    size = b"".join(struct.pack("<HHII", tag, 4, 1, 100) for tag in (256, 257))
    return b"II*\0" + struct.pack("<I", 600_000) + bytes(599_992) + struct.pack("<H", 4002) + size + entries + bytes(4)


def resized_webp(width: int, height: int) -> bytes:
    data = bytearray(encoded(".webp"))
    (bits,) = struct.unpack_from("<I", data, 21)
    struct.pack_into("<I", data, 21, bits & 0xF0000000 | (height - 1) << 14 | (width - 1))
    return bytes(data)


def webp_canvas() -> bytes:
    inner = encoded(".webp")[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_000_000).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(inner)) + b"WEBP" + canvas + inner


def resized_jp2(width: int, height: int) -> bytes:
    data = bytearray(encoded(".jp2"))
    at = data.find(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", data, at + 8, width, height)
    struct.pack_into(">II", data, at + 24, width, height)  # The tile's, too.
    struct.pack_into(">II", data, data.find(b"ihdr") + 4, height, width)
    return bytes(data)


def gif(width: int, height: int, frames: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return screen + frame * frames + b";"


CHUNKS = chunk(b"tEXt", b"a\0b")
WORST: dict[str, Callable[[], bytes]] = {
    "png: a chunk of 4 GB": lambda: png(64, 64, 8, 2, b"")[:-24] + struct.pack(">I", 0xF0000000) + b"IDAT" + bytes(80),
    "png: 3,600 megapixels": lambda: png(60000, 60000, 8, 2, zeros(1 << 20)),
    "png: 58 megapixels, a byte too few": lambda: png(58000, 1000, 8, 2, zeros(174_001_000)),
    "png: 44 megapixels of 16 bits, a byte too few": lambda: png(44000, 1000, 16, 0, zeros(88_001_000)),
    "png: 300,000 chunks": lambda: png(64, 64, 8, 2, zeros(12352), CHUNKS * 300_000),
    "png: a colour profile that inflates to 60 MB": lambda: png(
        64, 64, 8, 2, zeros(12352), chunk(b"iCCP", b"a\0\0" + zeros(60_000_000))
    ),
    "png: text that inflates to 60 MB": lambda: png(
        64, 64, 8, 2, zeros(12352), chunk(b"zTXt", b"a\0\0" + zeros(60_000_000))
    ),
    "jpeg: 4,290 megapixels": lambda: resized_jpeg(65500, 65500),
    "jpeg: 58 megapixels": lambda: resized_jpeg(58000, 1000),
    "jpeg: 58 megapixels, progressive": lambda: resized_jpeg(58000, 1000, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg: 19 megapixels, progressive": lambda: resized_jpeg(19000, 1000, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg: 5,000 scans": lambda: jpeg_of_scans(4000, 4000, 5000),
    "jpeg: 19 megapixels in 95 scans": lambda: jpeg_of_scans(19000, 1000, 85),
    "bmp: 58 megapixels": lambda: resized_bmp(58000, 1000),
    "bmp: 58 megapixels, compressed": lambda: resized_bmp(58000, 1000, compression=1),
    "tiff: 2,500 megapixels": lambda: tiff(50000, 50000, 8),
    "tiff: 25 megapixels in one strip": lambda: tiff(25000, 1000, 8, samples=3),
    "tiff: 44 megapixels of 16 bits in one strip": lambda: tiff(44000, 1000, 8, bits=16),
    "tiff: 35 megapixels, LZW": lambda: tiff(35000, 1000, 5),
    "tiff: a tile of 1,000 megapixels": lambda: tiff(64, 64, 8, (322, 32000), (323, 32000), (324, 8), (325, 100)),
    "tiff: tags of 2 GB": tiff_of_large_tags,
    "webp: 25 megapixels": lambda: resized_webp(16000, 1560),
    "webp: 268 megapixels": lambda: resized_webp(16384, 16384),
    "webp: a canvas of 256 terapixels": webp_canvas,
    "jpeg 2000: 3,600 megapixels": lambda: resized_jp2(60000, 60000),
    "gif: 11 megapixels, 1,000 images": lambda: gif(11000, 1000, 1000),
    "gif: 4,290 megapixels": lambda: gif(65500, 65500, 1),
    "pgm: 3,600 megapixels": lambda: b"P5 60000 60000 255\n" + bytes(1000),
    "ppm: 6 megapixels as text that is none": lambda: b"P3 5800 1000 255\n" + bytes(17_400_000),
}
