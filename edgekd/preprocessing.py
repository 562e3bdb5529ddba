"""How a camera's frame becomes what a network reads: one description for training, evaluation and the line.

Recipes and manifests hold it; `edgekd.data.preparing` computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekd.artifact import frame_shape
from edgekd.resize_rules import CURRENT_RESIZE_RULE, resize_rule


@dataclass(frozen=True)
class Preprocessing:
    """How a camera's frame becomes what a network reads.

    Attributes:
        height, width: Of what the network reads, in pixels.
        resize: The rule by which images are brought to that size.
    """

    height: int
    width: int
    resize: str = CURRENT_RESIZE_RULE


def square(side: int, resize: str = CURRENT_RESIZE_RULE) -> Preprocessing:
    """Whole images, brought to a square.

    Args:
        side: Of the square, in pixels.
        resize: The rule to resize by.
    """
    return Preprocessing(side, side, resize)


def preprocessing_of(manifest: Mapping[str, Any]) -> Preprocessing:
    """How frames are prepared for an artifact.

    Args:
        manifest: Of the artifact.

    Raises:
        ArtifactError: It lacks the shape of the frames, or needs what this edgekd cannot compute.
    """
    _, height, width = frame_shape(manifest)
    return Preprocessing(height, width, resize_rule(manifest))
