"""The elpv data set: electroluminescence images of solar cells, which come as an ordinary package.

Source: Deitsch et al., Automatic classification of defective photovoltaic module cells (Solar Energy 2019);
package elpv-dataset, images CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from edgekd.artifact import write_beside
from edgekd.errors import EdgekdError, missing_package

TRAIN_GOOD, TEST_GOOD, TEST_DEFECTIVE = 300, 100, 100
SOUND, SURELY_DEFECTIVE = 0.0, 1.0
Kind = Literal["mono", "poly"]


def solar_cells(kind: Kind = "mono") -> tuple[list[Path], list[Path]]:
    """The sound and the surely defective cells of a kind, sorted by name.

    Args:
        kind: "mono" for monocrystalline cells, "poly" for polycrystalline ones.

    Raises:
        MachineError: The package is not installed.
    """
    package = find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise missing_package("elpv-dataset", "the demo")
    data = Path(package.origin).parent / "data"
    sound, defective = [], []
    for line in (data / "labels.csv").read_text(encoding="utf-8").splitlines():
        name, probability, kind_of_cell = line.split()
        if kind_of_cell == kind and float(probability) == SOUND:
            sound.append(data / name)
        if kind_of_cell == kind and float(probability) == SURELY_DEFECTIVE:
            defective.append(data / name)
    return sorted(sound), sorted(defective)


def write_category(folder: Path, shuffle_seed: int | None = None, kind: Kind = "mono") -> None:
    """Lays cells out as a category of MVTec AD: 300 sound ones to train, 100 sound and 100 defective ones to test.

    In the order of their numbers, as a line would see them, training and test cells come from the same few modules.
    Shuffled, they come from all 18, which is much harder: modules differ from each other in ways that are no defects.

    Args:
        folder: The category's; images that are there already stay.
        shuffle_seed: Of the order; None for that of their numbers.
        kind: Of the cells.

    Raises:
        EdgekdError: The folder holds cells of another choice, which would be trained on and tested with.
        MachineError: The package is not installed.
    """
    sound, defective = solar_cells(kind)
    if shuffle_seed is not None:
        random = np.random.default_rng(shuffle_seed)
        sound = [sound[index] for index in random.permutation(len(sound))]
        defective = [defective[index] for index in random.permutation(len(defective))]
    parts = {
        folder / "train" / "good": sound[:TRAIN_GOOD],
        folder / "test" / "good": sound[TRAIN_GOOD : TRAIN_GOOD + TEST_GOOD],
        folder / "test" / "defective": defective[:TEST_DEFECTIVE],
    }
    for part, paths in parts.items():
        if part.is_dir() and not {path.name for path in part.iterdir()} <= {path.name for path in paths}:
            raise EdgekdError(f"{part} holds other images than these cells: remove {folder}, or name another place")
    for part, paths in parts.items():
        _copy(paths, part)


def _copy(paths: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        if not (folder / path.name).exists():
            with write_beside(folder / path.name) as part:
                shutil.copyfile(path, part)
