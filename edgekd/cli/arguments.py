"""Arguments that several commands share, and their types."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from edgekd.engines import ACCELERATED, BACKENDS, Engine, open_engine


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


def add_engine_arguments(parser: argparse.ArgumentParser, takes_run: bool = False) -> None:
    """--engine, --backend, --threads, --device and --slots; see `open_from`."""
    what = "an .onnx artifact, or a run that was exported" if takes_run else "an .onnx artifact"
    parser.add_argument("--engine", type=Path, required=True, metavar="FILE", help=what)
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help=f"{', '.join(BACKENDS)} on the CPU (default: the faster, measured once); {', '.join(ACCELERATED)} on "
        "a GPU or NPU; edgekd doctor tells which of them work here",
    )
    parser.add_argument("--threads", type=positive, help="CPU threads that compute one inference (default: all)")
    parser.add_argument("--device", metavar="cuda:N", help="the NVIDIA GPU, as CUDA counts them (default: cuda:0)")
    parser.add_argument(
        "--slots",
        type=positive,
        metavar="N",
        help="batches under way at once; each takes memory for one set of activations (default: the engine's own)",
    )


def open_from(arguments: argparse.Namespace, artifact: Path) -> Engine:
    """The engine that a command was asked for.

    Args:
        arguments: Of a parser that has those of `add_engine_arguments`.
        artifact: To open.
    """
    return open_engine(artifact, arguments.backend, arguments.threads, arguments.device, arguments.slots)


def add_readers_argument(parser: argparse.ArgumentParser) -> None:
    """--readers N."""
    parser.add_argument(
        "--readers",
        type=positive,
        metavar="N",
        help="threads that decode and resize images (default: from the cores; docs/runner.md)",
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """--json FILE."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here; - for standard output")
