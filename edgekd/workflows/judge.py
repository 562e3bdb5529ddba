"""What detectors are compared on without a labelled test set.

Good images that none of them was trained on, against defective ones: real where they are given, otherwise synthetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import write_beside
from edgekd.errors import EdgekdError
from edgekd.preprocessing import Preprocessing
from edgekd.progress import Progress

if TYPE_CHECKING:
    from edgekd.training.teachers.ceiling import Ceiling

REAL, SYNTHETIC = "real", "synthetic"
FEWEST_GOOD = 40  # From so many on ten are held out.
MOST_GOOD = 120  # Held-out ones that are scored.
DEFECTS_EACH, FEWEST_DEFECTS = 3, 140  # Synthetic: of each good image; in all, twenty of each kind.
SIDE = 256  # Of images with synthetic defects, in pixels, the longer one: the largest that systems are tried at.
AT_ONCE = 8  # Frames that a network scores together.
MOST_SIDE = 512  # The same for larger images, which are tried in tiles.


class Judge(NamedTuple):
    """Images that all detectors are compared on.

    Attributes:
        good: Held out of the training of each.
        defective: Of the user, or made from the good ones.
        defects: "real" or "synthetic".
    """

    good: list[Path]
    defective: list[Path]
    defects: str

    @property
    def images(self) -> list[Path]:
        """All of them, the good ones first."""
        return [*self.good, *self.defective]

    @property
    def labels(self) -> list[bool]:
        """Whether each of `images` is defective."""
        return [False] * len(self.good) + [True] * len(self.defective)

    def __str__(self) -> str:
        return f"{len(self.good)} held-out good images against {len(self.defective)} with {self.defects} defects"


def make_judge(data: Path, ng: Path | None, seed: int, folder: Path, bit_depth: int | None = None) -> Judge:
    """Chooses, or makes, the images that detectors are compared on.

    Args:
        data: Good images, as `edgekd.train` takes them.
        ng: A folder of defective images; None for synthetic defects.
        seed: Of the trainings, which decides what they hold out; and of the defects.
        folder: For images with synthetic defects, in the layout of MVTec AD; nothing is written into it for real ones.
        bit_depth: Bits that images of 16 bits use; None where it is not stated.

    Raises:
        EdgekdError: There are fewer than 40 good images, or the folders do not suit.
    """
    from edgekd.data.good_images import divide_good_images
    from edgekd.data.images import list_images
    from edgekd.workflows.scoring import evenly_spread

    training, held_out = divide_good_images(data, seed)
    if (good := len(training) + len(held_out)) < FEWEST_GOOD:
        raise EdgekdError(
            f"{data} holds {good} good images, too few to compare systems on those held out: give at least "
            f"{FEWEST_GOOD}, better hundreds"
        )
    held_out = evenly_spread(held_out, MOST_GOOD)
    if ng is not None:
        require_defective(ng)
        return Judge(held_out, list_images(ng), REAL)
    return _synthetic_judge(held_out, seed, folder, bit_depth)


def judge_run(run: Path, judge: Judge, device: str, progress: Progress) -> float:
    """The image AUROC of a trained network, in the arithmetic of its training: no export is needed.

    Args:
        run: Its run folder.
        judge: What it is judged on.
        device: What computes: "auto" for a GPU where there is one, "cpu", "cuda" or "cuda:1".
        progress: Called as it advances.

    Raises:
        EdgekdError: An image cannot be read.
    """
    import torch

    from edgekd.data.good_images import read_frames
    from edgekd.data.preparing import frame_scores
    from edgekd.metrics.auroc import image_auroc
    from edgekd.training.arithmetic import mixed_precision
    from edgekd.training.batches import normalised_images
    from edgekd.training.device import channels_last, choose_device
    from edgekd.training.run import load_run

    detector, recipe = load_run(run)
    where, frames = choose_device(device), read_frames(judge.images, recipe.preprocessing)
    channels_last(detector, where)
    scores, count = list[float](), recipe.view.count
    with torch.no_grad(), mixed_precision(detector, where, recipe.mixed_precision):
        for first in range(0, len(frames), AT_ONCE):
            scores += detector.image_scores(normalised_images(frames[first : first + AT_ONCE], where)).tolist()
            progress(f"scoring {len(judge.images)} images", len(scores) // count, len(judge.images))
    return image_auroc(frame_scores(np.array(scores, np.float32), recipe.preprocessing), judge.labels)


def judge_detector(artifact: Path, judge: Judge, progress: Progress) -> float:
    """The image AUROC of a detector, on the faster CPU back end.

    Args:
        artifact: An .onnx file with its manifest beside it.
        judge: What it is judged on.
        progress: Called after each image.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.metrics.auroc import image_auroc
    from edgekd.workflows.scoring import engine_scores

    scores = engine_scores(artifact, judge.images, f"scoring {len(judge.images)} images", progress)
    return image_auroc(scores, judge.labels)


def judge_teacher(
    teacher: str, preprocessing: Preprocessing, data: Path, judge: Judge, seed: int, progress: Progress
) -> Ceiling:
    """A teacher's ceiling on the images that its students are judged on.

    Args:
        teacher: Its name or file.
        preprocessing: Of the students.
        data: Good images, as `edgekd.train` takes them.
        judge: What the students are judged on.
        seed: Of the trainings, which decides what they train on.
        progress: Called while it works.

    Raises:
        EdgekdError: The teacher is not here, or an image cannot be read.
    """
    from edgekd.data.good_images import divide_good_images, read_frames
    from edgekd.training.teachers.ceiling import teacher_ceiling
    from edgekd.training.teachers.loading import load_teacher
    from edgekd.training.teachers.nearest_neighbours import teacher_network

    training, _ = divide_good_images(data, seed)
    network = teacher_network(load_teacher(teacher))
    good, test = read_frames(training, preprocessing), read_frames(judge.images, preprocessing)
    return teacher_ceiling(network, good, test, judge.labels, seed, progress=progress, tiles=preprocessing.tiles)


def _synthetic_judge(held_out: list[Path], seed: int, folder: Path, bit_depth: int | None) -> Judge:
    """Paints defects into held-out good images; these go through the same resize, so that only the defect differs."""
    from edgekd.data.images import read_image
    from edgekd.data.synthetic_defects import varied_defects

    frames = [_reduced(read_image(path, bit_depth)) for path in held_out]
    defects, masks = varied_defects(frames, max(FEWEST_DEFECTS, DEFECTS_EACH * len(frames)), seed)
    good = _write(folder / "test" / "good", frames)
    defective = _write(folder / "test" / SYNTHETIC, defects)
    _write(folder / "ground_truth" / SYNTHETIC, [mask * np.uint8(255) for mask in masks], "_mask")
    return Judge(good, defective, SYNTHETIC)


def _reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image in a size that shows what candidates can see, in its own shape."""
    from edgekd.data.resizing import resize_image

    height, width = image.shape[:2]
    scale = min(max(max(height, width), SIDE), MOST_SIDE) / max(height, width)
    return resize_image(image, max(1, round(height * scale)), max(1, round(width * scale)))


def _write(folder: Path, images: Sequence[NDArray[np.uint8]], suffix: str = "") -> list[Path]:
    paths = [folder / f"{index:03}{suffix}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        if not path.exists():
            with write_beside(path, durable=False) as part:
                cv2.imwrite(str(part), image)
    return paths


def require_defective(ng: Path) -> None:
    """Refuses a folder that also holds good images: they would count as defects that are missed.

    Args:
        ng: The folder.

    Raises:
        EdgekdError: It does.
    """
    from edgekd.data.part_names import kind_of_name
    from edgekd.data.split_folders import folders_in

    good = [folder.name for folder in folders_in(ng) if kind_of_name(folder.name) == "good"] if ng.is_dir() else []
    if good:
        raise EdgekdError(f"{ng} holds good images too, in {', '.join(good)}: name a folder of defective ones")
