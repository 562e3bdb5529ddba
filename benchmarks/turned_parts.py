"""A category of parts that lie in any direction: one real part turned, and defects painted into it.

    python benchmarks/turned_parts.py IMAGE --out CATEGORY [--train 200] [--test 60] [--seed 0]

Each image is the part at an angle of its own, a little shifted and in slightly different light; a defective one gets a
synthetic defect before it is turned. The layout is MVTec AD's, with masks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import read_image
from edgekd.data.synthetic_defects import synthetic_defects

SHIFT, LIGHT, NOISE = 0.03, 0.05, 2.0  # Of the side; of the brightness; in grey levels.


def write_turned_parts(image: NDArray[np.uint8], folder: Path, train: int, test: int, seed: int) -> None:
    """Writes the category.

    Args:
        image: Of one good part in the middle of a plain ground, uint8 [H, W, 3], BGR; its middle square is taken.
        folder: Of the category; it is made.
        train: Good images to train on.
        test: Good ones to test, and as many defective ones.
        seed: Of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    part = _square(image)
    for name, count in (("train/good", train), ("test/good", test)):
        for number in range(count):
            _write(folder / name / f"{number:03}.png", _turned(part, _turn(part, rng), rng))
    defective, masks = synthetic_defects(part[None], test, seed)
    for number, (frame, mask) in enumerate(zip(defective, masks, strict=True)):
        turn = _turn(part, rng)
        _write(folder / "test" / "painted" / f"{number:03}.png", _turned(frame, turn, rng))
        turned = cv2.warpAffine(mask * 255, turn, mask.shape, flags=cv2.INTER_NEAREST)
        _write(folder / "ground_truth" / "painted" / f"{number:03}_mask.png", turned)


def _square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _turn(part: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float64]:
    side = len(part)
    turn = np.asarray(cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 360), 1.0))
    turn[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * side
    return turn


def _turned(part: NDArray[np.uint8], turn: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    turned = cv2.warpAffine(part, turn, part.shape[:2], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    seen = turned * rng.uniform(1 - LIGHT, 1 + LIGHT) + rng.normal(0, NOISE, turned.shape)
    return seen.round().clip(0, 255).astype(np.uint8)


def _write(file: Path, image: NDArray[np.uint8]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--out", type=Path, required=True, metavar="CATEGORY")
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--test", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_turned_parts(read_image(arguments.image), arguments.out, arguments.train, arguments.test, arguments.seed)


if __name__ == "__main__":
    main()
