"""Finds the files that the package reads or names, in a checkout's top-level folders or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
ROOTS = (PACKAGE / "_resources", PACKAGE.parent)


def resource(folder: str, name: str) -> Path:
    """The path of a file in export/, docs/ or benchmarks/papers/.

    Args:
        folder: Of those, as it stands in a checkout.
        name: The file's.

    Raises:
        FileNotFoundError: It is in neither place: the installation is broken.
    """
    for root in ROOTS:
        path = root / folder / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder}/{name} is missing from the installation")


def docs_folder() -> Path:
    """The folder of the pages that help and messages name as docs/PAGE.md."""
    return next((root / "docs" for root in ROOTS if (root / "docs").is_dir()), ROOTS[0] / "docs")
