"""Images that are copies of others: the same bytes, or so alike that they show the same part a moment later.

A held-out image that was also trained on makes a threshold too low, so copies are kept on one side of the split.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.image_files import checked_header, read_file
from edgekd.data.image_headers import JPEG
from edgekd.errors import ImageError

SIDE = 32  # Of the small grey images that are compared.
# Grey levels of 255, root mean square, between two small grey images whose means are taken off. Noise of 5 levels, a
# quality of 60 in JPEG and light that flickers by 1 % stay below 1.0; the two most similar different parts differ by
# 1.1 among 2,624 solar cells, 2.1 among 762 magnetic tiles, 6.8 among 213 transistors.
MOST_DIFFERENCE = 1.0
MOST_SHARE = 0.1  # Of the median difference between images: parts that hardly differ from each other are no copies.
MOST_LIGHT = 4.0  # Grey levels between the means.
MOST_ALIKE = 0.5  # Of all images in one group: then likeness tells nothing, and only equal bytes make a copy.
REMEMBERED = 20_000  # Looks at files, in this process.
ROWS = 1024  # Of the table of differences that are computed at once.


class _Look(NamedTuple):
    """What is compared of a file: its SHA-256, "" where it cannot be read, and its small image without its mean."""

    digest: str
    small: NDArray[np.float32] | None
    mean: float


def group_copies(paths: Sequence[Path], alike: bool = True) -> list[int]:
    """Groups images that are copies of each other.

    Every file is read once: 2,000 photographs of a megapixel take about 10 s of one core.

    Args:
        paths: Of the images. One that cannot be read is a copy of none.
        alike: Whether nearly identical images count as copies too, not only equal bytes.

    Returns:
        For each image the index of the first one in its group: its own where it is no copy of an earlier one.
    """
    looks = _look_at(paths, alike)
    first: dict[str, int] = {}
    same = [first.setdefault(look.digest, index) if look.digest else index for index, look in enumerate(looks)]
    if not alike:
        return same
    groups = _joined(same, _alike(looks, [index for index, leader in enumerate(same) if index == leader]))
    most = max(Counter(groups).values(), default=0)
    return same if most > MOST_ALIKE * len(paths) else groups


def digests_of(paths: Sequence[Path]) -> list[str]:
    """The SHA-256 of files, in hexadecimal; "" for one that cannot be read.

    Files that `group_copies` compared in this process are not read again, unless their size or time of change differ.
    """
    return [look.digest for look in _look_at(paths, True)]


def _look_at(paths: Sequence[Path], shrunk: bool) -> list[_Look]:
    with ThreadPoolExecutor(4) as readers:
        return list(readers.map(lambda path: _look(path, *_status(path), shrunk), paths))


def _status(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


@lru_cache(REMEMBERED)
def _look(path: Path, size: int, modified: int, shrunk: bool) -> _Look:
    """Looks at a file; its size and time of change are those it is remembered under."""
    try:
        data = read_file(path)
    except ImageError:
        return _Look("", None, 0.0)
    digest = hashlib.sha256(data).hexdigest()
    small = _shrink(data) if shrunk else None
    if small is None:
        return _Look(digest, None, 0.0)
    return _Look(digest, small - small.mean(), float(small.mean()))


def _shrink(data: bytes) -> NDArray[np.float32] | None:
    """A small grey image, float32 [SIDE ** 2] in levels of 255; None where the file cannot be read."""
    # A JPEG is decoded in a quarter of its size, averaged; of other formats OpenCV would leave pixels out instead.
    flag = cv2.IMREAD_REDUCED_GRAYSCALE_4 if data.startswith(JPEG) else cv2.IMREAD_GRAYSCALE
    try:
        checked_header(data, "the image")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, ImageError):
        image = None
    if image is None:
        return None
    small = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32).ravel()
    if np.issubdtype(image.dtype, np.floating):
        return np.nan_to_num(small).clip(0, 1) * np.float32(255)
    return small / np.float32(2 ** max(0, int(image.max()).bit_length() - 8))  # However many bits of 16 are used.


def _alike(looks: Sequence[_Look], indices: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs of nearly identical images among those of some indices."""
    readable = [index for index in indices if looks[index].small is not None]
    if len(readable) < 2:
        return []
    table = np.stack([look.small for index in readable if (look := looks[index]).small is not None])
    means = np.array([looks[index].mean for index in readable], np.float32)
    drawn = np.random.default_rng(0).permutation(len(table))[:ROWS]
    sample = _differences(table[drawn], table[drawn])
    limit = min(MOST_DIFFERENCE, MOST_SHARE * float(np.median(sample[np.triu_indices(len(sample), 1)])))
    pairs = []
    for start in range(0, len(table), ROWS):
        close = _differences(table[start : start + ROWS], table) < limit
        close &= np.abs(means[start : start + ROWS, None] - means) < MOST_LIGHT
        found = ((start + int(row), int(column)) for row, column in np.argwhere(close))
        pairs += [(readable[one], readable[other]) for one, other in found if other < one]
    return pairs


def _differences(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square differences between the rows of two tables, float32 [N, SIDE ** 2] and [M, SIDE ** 2]."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return np.asarray(np.sqrt(np.maximum(squares, 0) / np.float32(first.shape[1])), np.float32)


def _joined(groups: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Groups that are joined where a pair links them, each named by its first index."""
    leader = list(groups)

    def find(index: int) -> int:
        while leader[index] != index:
            index = leader[index] = leader[leader[index]]
        return index

    for one, other in pairs:
        low, high = sorted((find(one), find(other)))
        leader[high] = low
    return [find(index) for index in range(len(leader))]
