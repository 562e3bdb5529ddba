"""How far a trained student is below the ceiling of its teacher, without a defective image."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.progress import Progress

if TYPE_CHECKING:
    from edgekd.recipe import TrainingRecipe

FEWEST_HELD_OUT = 10
MOST_GOOD, DEFECTS = 60, 140  # Twenty synthetic defects of each kind.
COMPARED_IMAGES = MOST_GOOD + DEFECTS  # At most.
MOST_PATCHES = 24_000
NEAR = 0.02  # Below the ceiling: a longer training hardly helps.


@dataclass(frozen=True)
class BelowCeiling:
    """A student and its teacher on the same images.

    Attributes:
        student: Its image AUROC on synthetic defects in held-out images, 0 to 1.
        ceiling: That of nearest neighbours in its teacher's features; of several teachers the highest.
        good: Held-out good images.
        defective: Images with synthetic defects.
    """

    student: float
    ceiling: float
    good: int
    defective: int

    @property
    def is_near(self) -> bool:
        """Whether the student finds about as much as its teacher lets it."""
        return self.ceiling - self.student < NEAR

    @property
    def advice(self) -> str:
        """What may find more."""
        return "another teacher may find more" if self.is_near else "a longer training may find more"

    def to_dict(self) -> dict[str, Any]:
        """As `edgekd train --json` writes it."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.defective} synthetic defects against {self.good} held-out images: image AUROC {self.student:.3f}, "
            f"nearest neighbours in the teacher's features {self.ceiling:.3f}; {self.advice}"
        )


def compare_with_ceiling(run: Path, recipe: TrainingRecipe, progress: Progress) -> BelowCeiling | None:
    """Measures a trained student and its teacher on synthetic defects in the images that the run held out.

    Args:
        run: The run folder.
        recipe: Of the run.
        progress: Called while it works.

    Returns:
        Both; None where too few images are held out.
    """
    import numpy as np

    from edgekd.data.good_images import read_frames
    from edgekd.data.synthetic_defects import synthetic_defects
    from edgekd.graph.parity import torch_outputs
    from edgekd.metrics.auroc import image_auroc
    from edgekd.recipe import held_out_images
    from edgekd.training.run import load_run, training_images
    from edgekd.training.teachers.ceiling import teacher_ceiling
    from edgekd.training.teachers.loading import load_teacher
    from edgekd.training.teachers.nearest_neighbours import teacher_network

    held_out = held_out_images(recipe)[:MOST_GOOD]
    if len(held_out) < FEWEST_HELD_OUT:
        return None
    good = read_frames(held_out, recipe.preprocessing)  # Tiles count as images.
    good = good[np.linspace(0, len(good) - 1, min(MOST_GOOD, len(good))).round().astype(int)]
    defective, _ = synthetic_defects(good, DEFECTS, recipe.seed)
    test, labels = np.concatenate([good, defective]), [False] * len(good) + [True] * DEFECTS
    detector, _ = load_run(run)
    scores = []
    for frame in test:
        scores.append(float(torch_outputs(detector, frame[None])[0][0]))
        progress("scoring synthetic defects", len(scores), len(test))
    trained = read_frames(training_images(recipe), recipe.preprocessing)
    ceilings = [
        teacher_ceiling(
            teacher_network(load_teacher(name)), trained, test, labels, recipe.seed, MOST_PATCHES, progress
        ).image_auroc
        for name in recipe.teachers
    ]
    return BelowCeiling(image_auroc(scores, labels), max(ceilings), len(good), DEFECTS)
