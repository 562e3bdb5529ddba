"""The elpv data set: electroluminescence pictures of solar cells, which come as an ordinary package.

Source: Deitsch et al., Automatic classification of defective photovoltaic module cells (Solar Energy 2019);
package elpv-dataset, pictures CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from edgekd.errors import missing_package

TRAIN_GOOD, TEST_GOOD, TEST_DEFECTIVE = 300, 100, 100
SOUND, SURELY_DEFECTIVE = 0.0, 1.0


def monocrystalline_cells() -> tuple[list[Path], list[Path]]:
    """The sound and the surely defective monocrystalline cells, sorted by name.

    Raises:
        MachineError: The package is not installed.
    """
    package = find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise missing_package("elpv-dataset", "the demo", "demo")
    data = Path(package.origin).parent / "data"
    sound, defective = [], []
    for line in (data / "labels.csv").read_text(encoding="utf-8").splitlines():
        name, probability, kind = line.split()
        if kind == "mono" and float(probability) == SOUND:
            sound.append(data / name)
        if kind == "mono" and float(probability) == SURELY_DEFECTIVE:
            defective.append(data / name)
    return sorted(sound), sorted(defective)


def write_category(folder: Path, seed: int = 0) -> None:
    """Lays cells out as a category of MVTec AD: 300 sound ones to train, 100 sound and 100 defective ones to test.

    Args:
        folder: The category's; pictures that are there already stay.
        seed: Of the choice.
    """
    sound, defective = monocrystalline_cells()
    random = np.random.default_rng(seed)
    sound = [sound[index] for index in random.permutation(len(sound))]
    defective = [defective[index] for index in random.permutation(len(defective))]
    _copy(sound[:TRAIN_GOOD], folder / "train" / "good")
    _copy(sound[TRAIN_GOOD : TRAIN_GOOD + TEST_GOOD], folder / "test" / "good")
    _copy(defective[:TEST_DEFECTIVE], folder / "test" / "defective")


def _copy(paths: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        if not (folder / path.name).exists():
            shutil.copyfile(path, folder / path.name)
