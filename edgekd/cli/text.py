"""Text that is safe to print: names of files may hold whatever a file system takes, escape sequences too."""

from __future__ import annotations

import unicodedata
from collections.abc import Set
from typing import Any

# Bytes that are not UTF-8, which no encoding takes; controls, which a terminal obeys; formats, which reverse or hide
# what stands beside them; separators of lines.
SURROGATES = frozenset({"Cs"})
UNPRINTABLE = SURROGATES | {"Cc", "Cf", "Zl", "Zp"}
FIRST_BYTE, LAST_BYTE = 0xDC80, 0xDCFF  # What Python makes of a byte of a file name that is not UTF-8.


def printable(text: str, keep: str = "") -> str:
    r"""A text with each character that must not reach a terminal as an escape, such as \x1b.

    Args:
        text: Any, such as a file's name.
        keep: Characters that stay as they are.

    Returns:
        The same text where there is nothing to escape: of one line then, and of valid Unicode.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter in keep else _escaped(letter, UNPRINTABLE) for letter in text)


def one_line(text: str) -> str:
    """A message in one printable line: its lines become one, what else a terminal would obey is escaped."""
    return printable(" ".join(part for line in text.splitlines() if (part := line.strip())))


def unicode_content(content: Any) -> Any:
    """Content for JSON with all of its text valid Unicode: strict readers refuse a file name that is not.

    Args:
        content: Of dictionaries, lists, texts, numbers.
    """
    if isinstance(content, str):
        return content if content.isascii() else "".join(_escaped(each, SURROGATES) for each in content)
    if isinstance(content, dict):
        return {unicode_content(key): unicode_content(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [unicode_content(each) for each in content]
    return content


def _escaped(letter: str, categories: Set[str]) -> str:
    if unicodedata.category(letter) not in categories:
        return letter
    code = ord(letter)
    if FIRST_BYTE <= code <= LAST_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
