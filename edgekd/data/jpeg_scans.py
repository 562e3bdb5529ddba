"""Whether a JPEG holds its whole image: a progressive one that was cut between two scans decodes without a warning."""

from __future__ import annotations

import re

BASELINE_SCAN = (0, 63, 0)  # First and last coefficient, and the bits that are still to come.
COEFFICIENTS = 64
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # Markers that declare an image.
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
SCAN, END = 0xDA, 0xD9
BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # Markers without content.
# In compressed data 0xFF stands before 0 and before restart markers only.
NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)


def scans_are_missing(data: bytes) -> bool:
    """Whether scans are missing that bring each coefficient of each component to its last bit.

    A scan of a progressive JPEG brings some coefficients, some of their bits, of some components; the standard (ITU-T
    T.81, G.1.1) has a decoder show whatever came, and so a file that ends between two scans is a blurred image to it.

    Args:
        data: The file's bytes.

    Returns:
        False too where the structure cannot be followed: then its decoder warns.
    """
    bits: dict[int, list[int | None]] = {}  # Of each component and coefficient what is still to come; None for all.
    at = 2
    while (found := NEXT_MARKER.search(data, at)) is not None:
        marker, start = data[found.end() - 1], found.end()
        if marker == END:
            break
        if marker in BARE:
            at = start
            continue
        content = data[start + 2 : (at := start + int.from_bytes(data[start : start + 2], "big"))]
        if marker in FRAMES:
            components = content[6::3]
            bits = {component: [None] * COEFFICIENTS for component in components}
            progressive = marker in PROGRESSIVE
        elif marker == SCAN and content:
            if not bits or len(content) < 4 + 2 * content[0]:
                return False
            first, last, left = content[-3], content[-2], content[-1] & 15
            if not progressive:
                if content[0] == len(bits):  # As nearly all files have it: what follows need not be searched.
                    return False
                first, last, left = BASELINE_SCAN
            for component in content[1 : 1 + 2 * content[0] : 2]:
                if component in bits and last < COEFFICIENTS:
                    bits[component][first : last + 1] = [left] * (last + 1 - first)
    return any(left != 0 for coefficients in bits.values() for left in coefficients)
