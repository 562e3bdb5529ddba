"""What a threshold promises, in sentences: no more than its good images allow.

An unseen image is one that the detector was not trained on: the run held it out, or it came later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekd.verdicts.false_rejects import share_bound
from edgekd.verdicts.warning_signs import Sign

ENOUGH_IMAGES = 30  # Fewer can promise so little that it is pointed out.
MOST_NAMED = 5  # Of the images that were set aside.


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
    return [each["text"] for each in signs_of(threshold)]


def signs_of(threshold: Mapping[str, Any]) -> list[Sign]:
    """The same with the figures of each sentence, for a page that has sentences of its own.

    Args:
        threshold: The entry of a manifest.

    Returns:
        Of each `code`, figures by their names, and `text`, in English; `code` is "" where a manifest has no more than
        the text.
    """
    signs = [each if isinstance(each, dict) else {"code": "", "text": each} for each in threshold.get("warnings", ())]
    count, suspicious = threshold.get("good_images"), threshold.get("suspicious", ())
    few = [] if count is None or count >= ENOUGH_IMAGES else [_few_images(count)]
    return [*few, *signs, *([_set_aside(suspicious)] if suspicious else [])]


def _few_images(count: int) -> Sign:
    figures = {
        "count": count,
        "bound": share_bound(0, count),
        "more": ENOUGH_IMAGES - count,
        "bound_then": share_bound(0, ENOUGH_IMAGES),
    }
    text = (
        f"{count} unseen good images cannot promise fewer than {share(figures['bound'])} false rejects, whatever the "
        f"limit: {figures['more']} more would make it {share(figures['bound_then'])}"
    )
    return {"code": "few_images", **figures, "text": text}


def _set_aside(suspicious: Sequence[Mapping[str, Any]]) -> Sign:
    first, more = suspicious[:MOST_NAMED], len(suspicious) - MOST_NAMED
    named = ", ".join(f"{entry['name']} ({entry['score']:.4g})" for entry in first)
    text = f"set aside, since their scores stand out, look at these: are they good? {named}"
    images = [{"name": entry["name"], "score": entry["score"]} for entry in first]
    return {
        "code": "set_aside",
        "images": images,
        "more": max(0, more),
        "text": f"{text} and {more} more" if more > 0 else text,
    }


def share(value: float) -> str:
    """A share of images as per cent, with as many digits as it deserves."""
    return f"{100 * value:.1f} %" if value < 0.1 else f"{100 * value:.0f} %"
