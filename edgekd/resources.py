"""Finding the files that the package reads: in a checkout's top-level folders, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def resource(folder: str, name: str) -> Path:
    """The path of a file in export/, calibration/ or benchmarks/papers/.

    Args:
        folder: Of those, as it stands in a checkout.
        name: The file's.

    Raises:
        FileNotFoundError: It is in neither place: the installation is broken.
    """
    for root in (PACKAGE / "_resources", PACKAGE.parent):
        path = root / folder / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder}/{name} is missing from the installation")
