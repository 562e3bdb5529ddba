"""Types of options: parsers whose errors say what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import typer

from edgekd.errors import EdgekdError
from edgekd.preprocessing import Size, parse_size

# What str.isdigit takes is not always what int takes, such as a superscript, or more digits than fit any option.
INTEGER = re.compile("[0-9]{1,18}")
HIGHEST_PORT = 65535


def positive(text: str) -> int:
    """Parses an integer of at least 1."""
    if not INTEGER.fullmatch(str(text)) or int(text) < 1:
        raise typer.BadParameter(f"must be a positive integer, got '{text:.60}'")
    return int(text)


def positive_or(word: str) -> Callable[[str], Any]:
    """A parser of integers of at least 1 and of a word, such as "auto"."""

    def number_or_word(text: str) -> Any:
        if text == word:
            return text
        try:
            return positive(text)
        except typer.BadParameter as error:
            raise typer.BadParameter(f"must be a positive integer or {word}, got '{text:.60}'") from error

    return number_or_word


def not_negative(text: str) -> int:
    """Parses an integer of at least 0."""
    if not INTEGER.fullmatch(str(text)):
        raise typer.BadParameter(f"must be an integer of at least 0, got '{text:.60}'")
    return int(text)


def port(text: str) -> int:
    """Parses a port of TCP; 0 is any that is free."""
    if not INTEGER.fullmatch(str(text)) or int(text) > HIGHEST_PORT:
        raise typer.BadParameter(f"must be a port from 0 to {HIGHEST_PORT}, got '{text:.60}'")
    return int(text)


def size_in_bytes(text: str) -> int:
    """Parses a size on a disk, such as 500MB or 1.5GB; a bare number counts bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", str(text).strip().upper())
    if found is None:
        raise typer.BadParameter(f"must be a size such as 500MB or 5GB, got '{text}'")
    return int(float(found[1]) * 1000 ** " KMGT".index((found[2] or " ").replace("B", "")[:1] or " "))


def image_size(text: str) -> Size:
    """Parses PIXELS, the side of a square, or HEIGHTxWIDTH."""
    try:
        return parse_size(str(text))
    except EdgekdError as error:
        raise typer.BadParameter(str(error)) from error


def between(low: float, high: float) -> Callable[[str], float]:
    """A parser of numbers in an interval, its ends included."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise typer.BadParameter(f"must be a number from {low:g} to {high:g}, got '{text:.60}'")
        return value

    return number
