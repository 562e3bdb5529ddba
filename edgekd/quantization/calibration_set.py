"""Calibration sets: real good images, chosen reproducibly and recorded with their hashes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, TypeAdapter

from edgekd.artifact import sha256, write_json
from edgekd.errors import ArtifactError, EdgekdError, shown
from edgekd.json_files import read_object
from edgekd.precisions import CALIBRATION_CHOICES
from edgekd.typed import Count, InnerPaths, Text, checked, digests, inner_path, one_of

FEWEST_IMAGES = 8
MOST_OF_PATH = 500  # Characters of it in a message.
OUTLIER_DISTANCE = 6.0  # From the median, in standard deviations as the median absolute deviation estimates them.
DEVIATIONS = 1.4826  # Standard deviations of a normal distribution in one median absolute deviation.


@dataclass(frozen=True)
class CalibrationSet:
    """Images that an INT8 graph's scales come from.

    Attributes:
        images: By their paths relative to the manifest's root: their SHA-256.
        root: The folder that the paths are relative to.
        choice: "k-centre" or "random".
        seed: Of a random choice.
        chosen_from: How many images there were.
        left_out: Images that look defective, by relative path.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    images: Annotated[dict[str, str], digests(inner_path)]
    root: Text
    choice: Annotated[str, one_of(CALIBRATION_CHOICES)]
    seed: Count
    chosen_from: Count
    left_out: InnerPaths = ()

    def paths(self) -> list[Path]:
        """The images' files."""
        return [Path(self.root) / name for name in self.images]


def write_calibration_set(path: Path, chosen: CalibrationSet) -> None:
    """Writes a set's manifest."""
    write_json(path, asdict(chosen))


def read_calibration_set(path: Path) -> CalibrationSet:
    """Reads a set's manifest and checks every image against it.

    Raises:
        ArtifactError: The manifest is damaged, or an image is missing or has changed.
        EdgekdError: There are too few.
    """
    chosen = checked(_CALIBRATION_SET, read_object(path), path, "give a calibration set that edgekd export wrote")
    root = (path.parent / chosen.root).resolve()  # An absolute one stays as it is.
    where = shown(str(root), MOST_OF_PATH)
    for name, digest in chosen.images.items():
        if not os.path.isfile(root / name):  # False where the whole path is too long, too.
            raise ArtifactError(f"{path} names {shown(name)}, not in {where}: put it back, or choose a new set")
        if sha256(root / name) != digest:
            raise ArtifactError(f"{where}/{shown(name)} is not the image that {path} names (its SHA-256 differs)")
    require_enough(len(chosen.images), str(path))
    return replace(chosen, root=str(root))


_CALIBRATION_SET = TypeAdapter(CalibrationSet)


def require_enough(count: int, where: str) -> None:
    """Refuses sets that are too small: a range seen on one image is that image's.

    Raises:
        EdgekdError: There are fewer than 8 images.
    """
    if count < FEWEST_IMAGES:
        raise EdgekdError(
            f"{where} holds {count} good images to calibrate on: INT8 needs {FEWEST_IMAGES} at least, better 32"
        )


def k_centre(descriptors: NDArray[np.float32], count: int) -> list[int]:
    """Images that cover the others: each next one is the farthest from those chosen, the first is the most typical.

    Source: Gonzalez, Clustering to minimize the maximum intercluster distance (1985).

    Args:
        descriptors: float32 [N, C], one row an image.
        count: How many to choose; all, where there are fewer.

    Returns:
        Their indices, sorted.
    """
    first = int(np.linalg.norm(descriptors - descriptors.mean(0), axis=1).argmin())
    chosen = [first]
    distances = np.linalg.norm(descriptors - descriptors[first], axis=1)
    while len(chosen) < min(count, len(descriptors)):
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(descriptors - descriptors[chosen[-1]], axis=1))
    return sorted(chosen)


def at_random(images: int, count: int, seed: int) -> list[int]:
    """Indices of images drawn at random, sorted; all, where there are no more."""
    return sorted(int(index) for index in np.random.default_rng(seed).permutation(images)[:count])


def outliers(scores: ArrayLike, good_scores: ArrayLike) -> list[int]:
    """Images whose score is far above that of known good ones.

    Args:
        scores: float [N], the float detector's, of the images in question.
        good_scores: float [M], of images known to be good.

    Returns:
        Indices, the highest score first.
    """
    known, asked = np.asarray(good_scores, np.float64), np.asarray(scores, np.float64)
    middle = float(np.median(known))
    deviation = DEVIATIONS * float(np.median(np.abs(known - middle)))
    limit = max(middle + OUTLIER_DISTANCE * deviation, float(known.max()))
    return [int(index) for index in np.argsort(-asked) if asked[index] > limit]


def hashed(root: Path, paths: Sequence[Path]) -> dict[str, str]:
    """Images by their paths relative to a folder, with their SHA-256."""
    return {path.relative_to(root).as_posix(): sha256(path) for path in paths}
