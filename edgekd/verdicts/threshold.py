"""The threshold of a detector, from good images alone: no defective ones are available when a line starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgekd.errors import EdgekdError
from edgekd.verdicts.false_rejects import expected_share, explained_by_chance, images_wanted, share_bound
from edgekd.verdicts.good_scores import Scores, comparable, outlying

FEWEST_IMAGES = 2
HIGHEST_RATE = 0.5
OTHER_RATES = (0.0, 0.01, 0.02, 0.05, 0.1)  # Of the table of limits.
RULE = "share of all good images, outliers set aside, held-out ones within chance"


@dataclass(frozen=True)
class Limit:
    """A score above which images are NG, and what it promises.

    Attributes:
        false_reject_rate: The share of good images that was allowed to be NG, 0..0.5.
        value: Scores above it are NG.
        above: Held-out good images above it.
        expected: The share of new good parts that is expected above it, 0..1: counted on all good images.
        bound: The share that is not exceeded with a confidence of 95 %, 0..1: counted on the held-out ones alone.
    """

    false_reject_rate: float
    value: float
    above: int
    expected: float
    bound: float


@dataclass(frozen=True)
class Threshold(Limit):
    """A threshold, what it promises and what that rests on; the entry `threshold` of a manifest.

    Attributes:
        good_images: Held-out good images: the promise rests on them.
        trained_images: Good images besides that the detector was trained on.
        origin: How it was chosen, as text, for manifests and reports.
        rule: The name of that.
        median_good: The median score of the good images.
        images_wanted: How many more held-out images, none of them above it, would bring the bound to the rate that was
            asked for; None where it is there, or out of reach.
        suspicious: `name` and `score` of the good images that stand out so far that they were set aside.
        limits: Other rates and their limits.
        warnings: What else its user must know: each with `code`, figures by their names, and `text`, a sentence.
        history: Earlier thresholds, the last one first.
    """

    good_images: int
    trained_images: int
    origin: str
    rule: str
    median_good: float
    images_wanted: int | None
    suspicious: tuple[dict[str, Any], ...] = ()
    limits: tuple[Limit, ...] = ()
    warnings: tuple[dict[str, Any], ...] = ()
    history: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The entry `threshold` of a manifest, as JSON gives it back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def threshold_from_good(
    scores: ArrayLike, false_reject_rate: float, trained: ArrayLike = (), names: Sequence[str] = ()
) -> Threshold:
    """The threshold that rejects at most a given share of good images.

    Scores of images that were trained on are shifted to the median of those held out and pooled with them. Images whose
    score lies more than 3.5 robust deviations above the median are set aside, and named. The threshold is the smallest
    score that at most the share of the rest is above, and no more of the held-out ones than chance explains. What is
    expected of it is counted on all good images, what is sure on the held-out ones alone; those that were set aside
    count in both.

    Args:
        scores: float [N], of good images that the detector was not trained on; at least 2.
        false_reject_rate: The share of good images that may be NG, 0..0.5.
        trained: float [M], of good images that it was trained on.
        names: Of all images, the held-out ones first; empty where they have none.

    Raises:
        EdgekdError: There are fewer than 2 scores, one is not finite, or the rate is out of range.
    """
    held_out, learned = _checked(scores, trained)
    if not 0 <= false_reject_rate <= HIGHEST_RATE:
        raise EdgekdError(f"the false reject rate must be a share from 0 to {HIGHEST_RATE}, got {false_reject_rate}")
    pooled = comparable(held_out, learned)
    aside = outlying(pooled)
    kept, unseen = np.sort(pooled[~aside]), np.sort(held_out[~aside[: held_out.size]])
    limits = {
        rate: _promised(rate, _limit(rate, kept, unseen), held_out.size, pooled)
        for rate in sorted({*OTHER_RATES, false_reject_rate})
    }
    chosen = limits[false_reject_rate]
    own = np.concatenate([held_out, learned])
    return Threshold(
        **vars(chosen),
        good_images=held_out.size,
        trained_images=learned.size,
        origin=_origin(false_reject_rate, held_out.size, learned.size, int(aside.sum())),
        rule=RULE,
        median_good=float(np.median(kept)),
        images_wanted=images_wanted(chosen.above, held_out.size, false_reject_rate),
        suspicious=tuple(
            {"name": names[index] if names else f"image {index}", "score": float(own[index])}
            for index in sorted(np.flatnonzero(aside).tolist(), key=lambda index: -pooled[index])
        ),
        limits=tuple(limits.values()),
    )


def carried_threshold(
    threshold: Threshold,
    scores: ArrayLike,
    rounded_scores: ArrayLike,
    held_out: int | None = None,
    names: Sequence[str] = (),
) -> Threshold:
    """The threshold of a detector in lower precision: the float32 one's, shifted as the scores of good images shift.

    Choosing it anew would depend on how one image, the highest of the good ones, happens to be rounded. The median
    over all of them is what the precision does to scores.

    Args:
        threshold: The float32 detector's.
        scores: float [N], the float32 detector's, of the good images that its threshold was chosen from, the held-out
            ones first.
        rounded_scores: float [N], of the same images, by the detector in lower precision.
        held_out: How many of them were held out; None for all.
        names: Of the images; empty where they have none.

    Raises:
        EdgekdError: A score is not finite.
    """
    rounded = np.asarray(rounded_scores, np.float64)
    change = rounded - np.asarray(scores, np.float64)
    if not np.isfinite(change).all():
        raise EdgekdError("a threshold needs finite scores of the good images: the artifact's are NaN or infinite")
    median, count = float(np.median(change)), rounded.size if held_out is None else held_out
    pooled = comparable(rounded[:count], rounded[count:])
    chosen = _promised(threshold.false_reject_rate, threshold.value + median, count, pooled)
    by_name = dict(zip(names, rounded.tolist(), strict=False))
    origin = (
        f"{threshold.origin}, by the float32 network; shifted by {median:+.3g}, the median change of their scores, "
        f"which leaves {chosen.above} of the held-out ones above it"
    )
    return replace(
        threshold,
        **vars(chosen),
        origin=origin,
        median_good=threshold.median_good + median,
        images_wanted=images_wanted(chosen.above, count, threshold.false_reject_rate),
        suspicious=tuple(
            {"name": entry["name"], "score": by_name.get(entry["name"], entry["score"])}
            for entry in threshold.suspicious
        ),
        limits=tuple(
            _promised(limit.false_reject_rate, limit.value + median, count, pooled) for limit in threshold.limits
        ),
    )


def history_with(earlier: Mapping[str, Any] | None) -> tuple[dict[str, Any], ...]:
    """The history of a threshold that takes the place of an earlier one.

    Args:
        earlier: The entry `threshold` of the manifest; None where it holds none.

    Returns:
        The earlier thresholds, the last one first, each without its own history.
    """
    if earlier is None:
        return ()
    return ({name: value for name, value in earlier.items() if name != "history"}, *earlier.get("history", ()))


def _checked(scores: ArrayLike, trained: ArrayLike) -> tuple[Scores, Scores]:
    held_out, learned = (np.asarray(each, np.float64).ravel() for each in (scores, trained))
    if held_out.size < FEWEST_IMAGES:
        raise EdgekdError(f"a threshold needs at least {FEWEST_IMAGES} held-out good images, got {held_out.size}")
    count = held_out.size + learned.size
    broken = count - np.count_nonzero(np.isfinite(held_out)) - np.count_nonzero(np.isfinite(learned))
    if broken:
        raise EdgekdError(
            f"a threshold needs finite scores: those of {broken} of {count} good images are NaN or infinite"
        )
    return held_out, learned


def _limit(rate: float, kept: Scores, held_out: Scores) -> float:
    """The smallest of the kept scores that at most a share is above; higher where the held-out ones contradict it."""
    # The small term corrects products such as 0.29 * 100, which is 28.999999999999996.
    value = float(kept[kept.size - 1 - math.floor(rate * kept.size + 1e-9)])
    allowed = explained_by_chance(held_out.size, rate)
    return max(value, float(held_out[-1 - allowed])) if allowed < held_out.size else value


def _promised(rate: float, value: float, held_out: int, pooled: Scores) -> Limit:
    """A limit with what good images promise of it, the held-out ones of which come first."""
    above = pooled > value
    unseen = int(np.count_nonzero(above[:held_out]))
    bound = share_bound(unseen, held_out)
    expected = expected_share(int(np.count_nonzero(above)), pooled.size)
    return Limit(rate, value, unseen, min(expected, bound), bound)


def _origin(rate: float, held_out: int, trained: int, aside: int) -> str:
    images = f"{held_out} held-out good images"
    if trained:
        images += f" and {trained} that were trained on, shifted to the same median,"
    chosen = f"the highest score of {images}" if rate == 0 else f"at most {100 * rate:.3g} % of {images} above it"
    left = "" if not aside else f"; {aside} set aside as {'an outlier' if aside == 1 else 'outliers'}"
    return f"{chosen}{left}"
