"""What a threshold promises, in sentences: no more than its good images allow.

An unseen image is one that the detector was not trained on: the run held it out, or it came later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd.verdicts.false_rejects import share_bound

ENOUGH_IMAGES = 30  # Fewer can promise so little that it is pointed out.


def promise_of(threshold: Mapping[str, Any]) -> str:
    """What a threshold promises, in one sentence; of one that an earlier version wrote, where it came from.

    Args:
        threshold: The entry of a manifest.
    """
    if threshold.get("bound") is None:
        return str(threshold["origin"])
    text = (
        f"{share(threshold['false_reject_rate'])} false rejects asked for, {share(threshold['expected'])} expected, "
        f"at most {share(threshold['bound'])} with 95 % confidence: "
        f"{threshold['above']} of {threshold['good_images']} unseen good images are above it"
    )
    wanted = threshold.get("images_wanted")
    if wanted is not None:
        text += f"; {wanted} more, none of them above it, would bring the bound to what was asked for"
    return text


def warnings_of(threshold: Mapping[str, Any]) -> list[str]:
    """What a user must know of a threshold before relying on it, a sentence each.

    Args:
        threshold: The entry of a manifest.
    """
    lines = list(threshold.get("warnings", ()))
    count = threshold.get("good_images")
    if count is not None and count < ENOUGH_IMAGES:
        lines.insert(
            0,
            f"{count} unseen good images cannot promise fewer than {share(share_bound(0, count))} false "
            f"rejects, whatever the limit: {ENOUGH_IMAGES - count} more would make it {share(share_bound(0, 30))}",
        )
    suspicious = threshold.get("suspicious", ())
    if suspicious:
        named = ", ".join(f"{entry['name']} ({entry['score']:.4g})" for entry in suspicious[:5])
        more = f" and {len(suspicious) - 5} more" if len(suspicious) > 5 else ""
        lines.append(f"set aside, since their scores stand out, look at these: are they good? {named}{more}")
    return lines


def share(value: float) -> str:
    """A share of images as per cent, with as many digits as it deserves."""
    return f"{100 * value:.1f} %" if value < 0.1 else f"{100 * value:.0f} %"
