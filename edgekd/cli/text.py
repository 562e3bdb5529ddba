"""Text that is safe to print: names of files may hold whatever a file system takes, escape sequences too."""

from __future__ import annotations

from typing import Any

from edgekd.verdicts.text import printable

FIRST_SURROGATE, LAST_SURROGATE = "\ud800", "\udfff"


def printable_lines(text: str) -> str:
    """The same of a text of several lines, which it keeps."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(text: str) -> str:
    """A message in one printable line: its lines become one."""
    return printable(" ".join(part for line in text.splitlines() if (part := line.strip())))


def unicode_content(content: Any) -> Any:
    """Content for JSON with all of its text valid Unicode: strict readers refuse a file name that is not.

    Args:
        content: Of dictionaries, lists, texts, numbers.
    """
    if isinstance(content, str):
        is_half = any(FIRST_SURROGATE <= each <= LAST_SURROGATE for each in content)
        return "".join(map(_without_surrogate, content)) if is_half else content
    if isinstance(content, dict):
        return {unicode_content(key): unicode_content(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [unicode_content(each) for each in content]
    return content


def _without_surrogate(letter: str) -> str:
    return printable(letter) if FIRST_SURROGATE <= letter <= LAST_SURROGATE else letter
