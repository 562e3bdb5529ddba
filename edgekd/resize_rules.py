"""The rules by which images are resized to frames: their names, as manifests and recipes hold them.

A rule never changes once it has a name: thresholds were set on the frames that it gives. `edgekd.data.resizing`
computes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd.errors import ArtifactError

AREA = "area"  # OpenCV's area shrink in one step; of artifacts and runs that name no rule.
AREA_2 = "area-2"  # The area mean, rounded once: rows first, then columns.
RESIZE_RULES = (AREA, AREA_2)
CURRENT_RESIZE_RULE = AREA_2


def resize_rule(manifest: Mapping[str, Any]) -> str:
    """The rule by which images must be resized for an artifact.

    Args:
        manifest: Of the artifact; those of before there were rules hold none, and theirs is the first.

    Raises:
        ArtifactError: The rule is not known to this edgekd.
    """
    return known_rule((manifest.get("resize") or {}).get("rule", AREA), str(manifest.get("file", "the artifact")))


def known_rule(rule: object, name: str) -> str:
    """Checks that this edgekd can compute a rule.

    Args:
        rule: Its name.
        name: What needs it, for the error.

    Raises:
        ArtifactError: It cannot.
    """
    if rule not in RESIZE_RULES:
        raise ArtifactError(
            f"{name} needs images resized by the rule {rule!r}; this edgekd has {', '.join(RESIZE_RULES)}: update it"
        )
    return str(rule)
