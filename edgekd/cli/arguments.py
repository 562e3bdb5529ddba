"""Arguments that several commands share, and their types."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def positive(number: str) -> int:
    """A whole number from 1 upward."""
    if not number.isdigit() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"'{number}' is no whole number from 1 upward")
    return int(number)


def not_negative(number: str) -> int:
    """A whole number from 0 upward."""
    if not number.isdigit():
        raise argparse.ArgumentTypeError(f"'{number}' is no whole number from 0 upward")
    return int(number)


def between(low: float, high: float) -> Callable[[str], float]:
    """A type: a number in an interval, its ends included."""

    def parse(number: str) -> float:
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{number}' is no number from {low:g} to {high:g}")
        return value

    return parse


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """--json FILE."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here; - for standard output")
