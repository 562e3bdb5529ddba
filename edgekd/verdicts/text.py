"""Names and messages as text that can be stored, printed and used as file names, whatever bytes they came from."""

from __future__ import annotations

import os

LONGEST_PART = 180  # Bytes of a file name; 255 are allowed, and what tells files apart is added.
NOT_IN_NAMES = frozenset('<>:"|?*\\%')  # What Windows refuses, and the mark of what was replaced.
DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)  # Windows opens them instead of a file, whatever follows the first dot.


def printable(text: str) -> str:
    """Text without what moves a terminal's cursor, breaks a line or is not UTF-8: that stands as \\xNN or \\uNNNN."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # A byte that is not UTF-8, as Python's file names hold it.
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def exact_bytes(name: str) -> bytes:
    """The bytes of a file's name; `from_exact_bytes` gives the name back."""
    try:
        return name.encode("utf-8", "surrogateescape" if os.name == "posix" else "surrogatepass")
    except UnicodeEncodeError:  # No file of this machine is called so.
        return name.encode("utf-8", "surrogatepass")


def from_exact_bytes(name: bytes) -> str:
    """The name of a file as Python has it, from its bytes."""
    return name.decode("utf-8", "surrogateescape" if os.name == "posix" else "surrogatepass")


def safe_file_name(name: str) -> str:
    """A name as the relative path of a file that can be made on every system, with slashes between its folders.

    Folders inside the name are kept. Two names may become the same: add what tells them apart.

    Args:
        name: Of a frame, such as "shift/part.png" or "line.mp4#000012".
    """
    parts = [part for part in name.replace(os.sep, "/").split("/") if part not in ("", ".")]
    return "/".join(map(_safe_part, parts)) or "frame"


def _safe_part(part: str) -> str:
    if part == "..":
        return "%2E%2E"
    safe = "".join(c if c.isprintable() and c not in NOT_IN_NAMES else _percent(c) for c in part)
    safe = safe.rstrip(" .") or "_"
    if safe.partition(".")[0].lower() in DEVICES:
        safe = f"_{safe}"
    return safe.encode()[:LONGEST_PART].decode(errors="ignore")


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in exact_bytes(character))
