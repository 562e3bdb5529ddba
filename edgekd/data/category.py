"""What is known of one category of a dataset: its images, their classes, their masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekd.data.loco import SaturationRule

GOOD = "good"


@dataclass(frozen=True)
class TestImage:
    """An image of the test set and what is known of it.

    Attributes:
        path: The image.
        defect: The name of its class; "good" for a good one, whatever the dataset calls it.
        mask: The image of its defective pixels, in MVTec LOCO AD the folder of its regions; None for a good one and
            where there is no ground truth.
    """

    __test__ = False  # Tells pytest that the name is no test's.

    path: Path
    defect: str
    mask: Path | None

    @property
    def defective(self) -> bool:
        """Whether the image shows a defect."""
        return self.defect != GOOD


@dataclass(frozen=True)
class Category:
    """One category of a dataset: one kind of part, one detector.

    Attributes:
        name: The folder's name.
        root: The folder.
        train_good: Good images to train on; empty where the category has none.
        test: Good and defective images to evaluate on, the good ones first.
        layout: "mvtec_ad", "mvtec_loco", "btad", "visa" or "retinal_oct".
        validation_good: Good images that the dataset itself holds out, as MVTec LOCO AD does.
        saturation_rules: By the pixel value of a region's mask; None for a dataset without regions.
    """

    name: str
    root: Path
    train_good: list[Path]
    test: list[TestImage]
    layout: str = "mvtec_ad"
    validation_good: list[Path] = field(default_factory=list)
    saturation_rules: Mapping[int, SaturationRule] | None = None

    @property
    def has_masks(self) -> bool:
        """Whether every defective image has a mask, so that pixel metrics can be computed."""
        return all(image.mask is not None for image in self.test if image.defective)
