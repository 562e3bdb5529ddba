"""MVTec LOCO AD's ground truth: regions, each with the area that saturates its sPRO.

A defective image has a folder of masks, one a region. The value of a mask's pixels names a kind of defect in the
category's defects_config.json, and with it how many of the region's pixels must be found for full marks.

Source: Bergmann et al., Beyond Dents and Scratches (IJCV 2022), and its evaluation code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import read_json
from edgekd.data.images import list_images, read_pixels
from edgekd.errors import EdgekdError, ImageError

CONFIG_FILE = "defects_config.json"
LARGEST_AREA = 1e12  # In pixels; what is larger, infinite or NaN is no area.
KEYS = ("defect_name", "pixel_value", "saturation_threshold", "relative_saturation")


class SaturationRule(NamedTuple):
    """How much of a region of one kind of defect must be found.

    Attributes:
        defect: The kind's name, such as "missing_almonds".
        threshold: In pixels of the original image; where relative, a share of the region's area, 0 to 1.
        relative: Whether it is a share.
    """

    defect: str
    threshold: float
    relative: bool

    def saturation_area(self, area: int) -> int:
        """The pixels of a region of `area` pixels that must be found: at least one, at most all of them."""
        wanted = self.threshold * area if self.relative else self.threshold
        return max(1, min(int(wanted), area))


class Region(NamedTuple):
    """One region of the ground truth.

    Attributes:
        defect: Its kind.
        mask: bool [H, W], in the size of the original image.
        saturation_area: The pixels that must be found for full marks.
    """

    defect: str
    mask: NDArray[np.bool_]
    saturation_area: int


def read_saturation_rules(category: Path) -> dict[int, SaturationRule]:
    """Reads a category's defects_config.json.

    Args:
        category: Its folder.

    Returns:
        The rules by the pixel value of the masks.

    Raises:
        EdgekdError: The file is missing or is not what the dataset's archive holds.
    """
    path = category / CONFIG_FILE
    if not path.is_file():
        raise EdgekdError(
            f"{path} is missing, which defines the values of the masks: copy it from the archive of MVTec LOCO "
            f"AD, or remove {category / 'ground_truth'} to evaluate without pixel metrics"
        )
    entries = read_json(path)
    if not isinstance(entries, list) or not all(_is_rule(entry) for entry in entries):
        raise EdgekdError(f"{path} must be a list of defects with {', '.join(KEYS)}: copy it from the archive again")
    return {
        int(entry["pixel_value"]): SaturationRule(
            str(entry["defect_name"]), float(entry["saturation_threshold"]), bool(entry["relative_saturation"])
        )
        for entry in entries
    }


def read_regions(masks: Path, rules: Mapping[int, SaturationRule]) -> list[Region]:
    """Reads the regions of a defective image.

    Args:
        masks: The folder of its masks: `TestImage.mask`.
        rules: `Category.saturation_rules`.

    Returns:
        One a mask, in the order of their names; a mask that marks no pixel gives none.

    Raises:
        EdgekdError: A mask is not a grey image of one value that the rules have.
    """
    regions = []
    for path in list_images(masks):
        image = read_pixels(path)
        if (image != image[:, :, :1]).any():
            raise ImageError(f"{path} has colours: the masks of MVTec LOCO AD are grey, copy them again")
        values = np.unique(image[:, :, 0])
        values = values[values > 0]
        if len(values) == 0:
            continue
        if len(values) > 1 or int(values[0]) not in rules:
            known = f"{CONFIG_FILE} knows {', '.join(map(str, sorted(rules)))}"
            found = ", ".join(str(int(value)) for value in values[:5])
            raise EdgekdError(f"{path} holds the values {found}: a mask must hold one besides 0, and {known}")
        mask = image[:, :, 0] > 0
        rule = rules[int(values[0])]
        regions.append(Region(rule.defect, mask, rule.saturation_area(int(mask.sum()))))
    return regions


def _is_rule(entry: Any) -> bool:
    if not isinstance(entry, dict) or not set(KEYS) <= set(entry):
        return False
    value, threshold = entry["pixel_value"], entry["saturation_threshold"]
    return isinstance(value, int) and isinstance(threshold, (int, float)) and 0 <= threshold <= LARGEST_AREA
