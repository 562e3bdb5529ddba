"""Mutations of bytes: cut, bits flipped, parts doubled, lengths changed, spliced; PNG and ZIP with right checksums."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

HEADER = 64  # Bytes in which most formats keep sizes and counts.
NUMBERS = (0, 1, 2, 7, 15, 16, 255, 256, 4096, 32767, 32768, 65535, 65536, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31)
NUMBERS = (*NUMBERS, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, (1 << 64) - 1)
PNG = b"\x89PNG\r\n\x1a\n"


def _place(draw: Draw, data: bytes) -> int:
    """Somewhere in the data, as often in its head as elsewhere."""
    last = max(0, len(data) - 1)
    return int(draw(st.one_of(st.integers(0, min(HEADER, last)), st.integers(0, last))))


def _span(draw: Draw, data: bytes) -> tuple[int, int]:
    start = _place(draw, data)
    return start, min(len(data), start + draw(st.integers(1, max(1, min(4096, len(data))))))


def _cut(draw: Draw, data: bytes) -> bytes:
    return data[: _place(draw, data)]


def _flipped(draw: Draw, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 8))):
        if changed:
            changed[_place(draw, data)] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def _number(draw: Draw, data: bytes) -> bytes:
    """A length, size or count of another value."""
    width = draw(st.sampled_from((1, 2, 4, 8)))
    value = draw(st.sampled_from((*NUMBERS, len(data), len(data) + 1))) & ((1 << 8 * width) - 1)
    place = _place(draw, data)
    return data[:place] + value.to_bytes(width, draw(st.sampled_from(("little", "big")))) + data[place + width :]


def _written_number(draw: Draw, data: bytes) -> bytes:
    """A number in text, as in the heads of PGM and in JSON."""
    found = list(re.finditer(rb"[0-9]+", data[:4096]))
    if not found:
        return data
    place = draw(st.sampled_from(found))
    number = draw(st.sampled_from((b"-1", b"0", b"1e999", b"9" * 5000, *(b"%d" % value for value in NUMBERS))))
    return data[: place.start()] + number + data[place.end() :]


def _doubled(draw: Draw, data: bytes) -> bytes:
    start, end = _span(draw, data)
    return data[:end] + data[start:end] * draw(st.integers(1, 3)) + data[end:]


def _removed(draw: Draw, data: bytes) -> bytes:
    start, end = _span(draw, data)
    return data[:start] + data[end:]


def _filled(draw: Draw, data: bytes) -> bytes:
    start, end = _span(draw, data)
    return data[:start] + draw(st.sampled_from((b"\0", b"\xff", b"\x80", b"A"))) * (end - start) + data[end:]


def _inserted(draw: Draw, data: bytes) -> bytes:
    place = _place(draw, data)
    return data[:place] + draw(st.binary(min_size=1, max_size=64)) + data[place:]


CHANGES = (_flipped, _number, _number, _written_number, _doubled, _removed, _filled, _inserted)


@st.composite
def mutated(draw: Draw, seeds: Sequence[bytes], most: int = 3) -> bytes:
    """One of the seeds, changed up to `most` times; now and then unchanged, or spliced with another."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, most))):
        change = draw(st.sampled_from((*CHANGES, _cut, None)))
        if change is not None:
            data = change(draw, data)
            continue
        other = draw(st.sampled_from(seeds))
        data = data[: _place(draw, data)] + other[_place(draw, other) :]
    return data


@st.composite
def cut_short(draw: Draw, data: bytes) -> bytes:
    """The data without its end."""
    return data[: draw(st.integers(0, max(0, len(data) - 1)))]


@st.composite
def mutated_png(draw: Draw, data: bytes) -> bytes:
    """A PNG whose chunks were changed, doubled, dropped or moved, and whose checksums are right again."""
    chunks = _chunks(data)
    for _ in range(draw(st.integers(1, 3))):
        if not chunks:
            break
        place = draw(st.integers(0, len(chunks) - 1))
        kind, content = chunks[place]
        what = draw(st.sampled_from(("change", "change", "double", "drop", "move", "rename")))
        if what == "change":
            chunks[place] = kind, draw(st.sampled_from(CHANGES))(draw, content)
        elif what == "double":
            chunks.insert(place, chunks[place])
        elif what == "rename":
            chunks[place] = (
                draw(st.sampled_from((b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fdAT", b"zTXt"))),
                content,
            )
        else:
            del chunks[place]
            if what == "move":
                chunks.insert(draw(st.integers(0, len(chunks))), (kind, content))
    return PNG + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, place = [], len(PNG)
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += length + 12
    return chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@st.composite
def mutated_zip(draw: Draw, data: bytes, compress: bool = False) -> bytes:
    """A ZIP archive whose members were changed, dropped or renamed, and whose checksums are right again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(each.filename, archive.read(each)) for each in archive.infolist()]
    for _ in range(draw(st.integers(1, 3))):
        if not members:
            break
        place = draw(st.integers(0, len(members) - 1))
        name, content = members[place]
        what = draw(st.sampled_from(("change", "change", "change", "drop", "rename")))
        if what == "change":
            members[place] = name, draw(st.sampled_from((*CHANGES, _cut)))(draw, content)
        elif what == "rename":
            members[place] = draw(st.sampled_from(("../x", "archive/data.pkl", "archive/data/0", "a" * 300))), content
        else:
            del members[place]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()
