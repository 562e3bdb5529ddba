"""How often the image checks fail: on unseen good and defective images, and on images that a fault has spoilt.

    python benchmarks/image_checks.py [--data DIR] [--spoilt 60] [--learn N]

Limits are learned from the training images of each data set: solar cells of elpv-dataset (two thirds of the sound
ones, in random order), and the categories in DIR in the layout of MVTec AD. Noise of a camera, one level of standard
deviation, is added after every fault.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from edgekd.data.images import Image, list_images, read_image
from edgekd.verdicts.image_checks import checks_of, learn_checks, statistics

RANDOM = np.random.default_rng(1)


def with_noise(image: np.ndarray) -> Image:
    noisy = image.astype(np.float32) + RANDOM.normal(0, 1, image.shape).astype(np.float32)
    return np.clip(noisy, 0, 255).round().astype(np.uint8)


def blur(sigma: float) -> Callable[[Image], Image]:
    return lambda image: with_noise(cv2.GaussianBlur(image, (0, 0), sigma))


def grey_card(image: Image) -> Image:
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return with_noise(np.repeat((130 * (1 - 0.075 * (x * x + y * y)))[:, :, None], 3, axis=2))


FAULTS: dict[str, Callable[[Image], Image]] = {
    "lens cap": lambda image: with_noise(np.full(image.shape, 2.0)),
    "covered lens (2 %)": lambda image: with_noise(image * 0.02),
    "lamp at half": lambda image: with_noise(image * 0.5),
    "lamp at a quarter": lambda image: with_noise(image * 0.25),
    "exposure x 2": lambda image: with_noise(np.clip(image * 2.0, 0, 255)),
    "exposure x 4": lambda image: with_noise(np.clip(image * 4.0, 0, 255)),
    "grey card": grey_card,
    "defocus, sigma 2": blur(2),
    "defocus, sigma 4": blur(4),
    "defocus, sigma 8": blur(8),
    "half as large": lambda image: np.ascontiguousarray(image[::2, ::2]),
    "on its side": lambda image: np.ascontiguousarray(image.transpose(1, 0, 2)),
}


def solar_cells(kind: str) -> tuple[list[Path], list[Path], list[Path]]:
    import elpv_dataset

    folder = Path(elpv_dataset.__file__).parent / "data"
    rows = [line.split() for line in (folder / "labels.csv").read_text().splitlines()]
    good = sorted(folder / name for name, label, of in rows if of == kind and label == "0.0")
    bad = sorted(folder / name for name, label, of in rows if of == kind and float(label) > 0.5)
    good = [good[index] for index in np.random.default_rng(0).permutation(len(good))]
    return good[: len(good) * 2 // 3], good[len(good) * 2 // 3 :], bad


def data_sets(folder: Path | None) -> Iterator[tuple[str, tuple[list[Path], list[Path], list[Path]]]]:
    for kind in ("mono", "poly"):
        yield f"solar cells, {kind}", solar_cells(kind)
    for root in sorted(folder.glob("**/train")) if folder else []:
        test = list_images(root.parent / "test")
        good = [path for path in test if path.parent.name == "good"]
        yield root.parent.name, (list_images(root / "good"), good, [path for path in test if path not in good])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--spoilt", type=int, default=60)
    parser.add_argument("--learn", type=int, help="good images to learn from, drawn at random; all without it")
    arguments = parser.parse_args()
    for name, (training, good, defective) in data_sets(arguments.data):
        if arguments.learn:
            training = [training[index] for index in RANDOM.permutation(len(training))[: arguments.learn]]
        checks = checks_of(learn_checks([statistics(read_image(path)) for path in training]))

        def show(what: str, images: list[Image] | Iterator[Image], count: int) -> None:
            reasons = Counter((checks.failure(statistics(image)) or "").partition(":")[0] for image in images)  # noqa: B023
            passed = reasons.pop("", 0)
            print(f"  {what:22} {count - passed:4} of {count:4} fail  {dict(reasons)}", flush=True)

        print(f"{name}: learned from {len(training)}")
        show("unseen good", (read_image(path) for path in good), len(good))
        show("defective", (read_image(path) for path in defective), len(defective))
        few = [read_image(good[index]) for index in np.linspace(0, len(good) - 1, arguments.spoilt).astype(int)]
        for fault, spoil in FAULTS.items():
            show(fault, map(spoil, few), len(few))


if __name__ == "__main__":
    main()
