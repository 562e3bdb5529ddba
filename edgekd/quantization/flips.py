"""Verdicts that a graph in lower precision does not share with the float one: what the limit of drift is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.data.preparing import frame_scores
from edgekd.engines import Frames
from edgekd.preprocessing import Preprocessing
from edgekd.quantization.running import batch_of, open_session, run_batches
from edgekd.verdicts.threshold import carried_threshold, threshold_from_good

# Of the verdicts, what may flip: then of 200 images more than one in a hundred flips by chance in one of twenty cases.
MOST_FLIPPED = 0.004
NEAR = 0.25  # Of the images: those whose scores are nearest to the threshold say how far around it flips are counted.

MOST_CHANGED = 4  # Images that say which layers are to blame.

Scores = NDArray[np.float32]


class JudgedImages(NamedTuple):
    """Images that a graph in lower precision is to judge as the float one does.

    Attributes:
        held_out: Frames of good images that the detector was not trained on, uint8 [N, H, W, 3], BGR, all tiles of an
            image one after the other; of 2 images at least.
        trained: The same of good images that it was trained on, for the threshold alone.
        defective: Frames with a defect each, uint8 [M, H, W, 3], BGR.
        preprocessing: Of the run: how an image became its tiles, and which of them are looked at.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5.
    """

    held_out: Frames
    trained: Frames
    defective: Frames
    preprocessing: Preprocessing
    false_reject_rate: float


class Flips(NamedTuple):
    """What a graph in lower precision does to verdicts.

    Attributes:
        share: Of the verdicts that flip, 0..1.
        most_changed: The frames that give the most of it, uint8 [n, H, W, 3].
    """

    share: float
    most_changed: Frames

    @property
    def few(self) -> bool:
        """Whether no more flip than may."""
        return self.share <= MOST_FLIPPED


FindFlips = Callable[[onnx.ModelProto], Flips]


def flips_finder(model: onnx.ModelProto, images: JudgedImages) -> FindFlips:
    """A function that finds the verdicts in which a graph differs from the float one, each by its own threshold.

    Thresholds are as an export sets them: the float graph's is chosen from its scores of the good images, and carried
    over to the other graph. Scores that are not finite flip all verdicts.

    Args:
        model: Float.
        images: That both judge.
    """
    held_out, trained, defective = _scores(model, images)
    threshold = threshold_from_good(held_out, images.false_reject_rate, trained)
    good = np.concatenate([held_out, trained])

    def find(lowered: onnx.ModelProto) -> Flips:
        new_held_out, new_trained, new_defective = _scores(lowered, images)
        new_good = np.concatenate([new_held_out, new_trained])
        if not np.isfinite(np.concatenate([new_good, new_defective])).all():
            return Flips(1.0, images.defective[:MOST_CHANGED])
        shift = carried_threshold(threshold, good, new_good).value - threshold.value
        before, after = np.concatenate([held_out, defective]), np.concatenate([new_held_out, new_defective])
        chances = flip_chances(before, after - np.float32(shift), threshold.value)
        changed = np.sort(np.argsort(-chances, kind="stable")[:MOST_CHANGED])
        return Flips(float(chances.mean()), np.concatenate([_frames_of(index, images) for index in changed]))

    return find


def flip_chances(before: Scores, after: Scores, threshold: float) -> NDArray[np.float64]:
    """The share of the thresholds around one at which each image's verdict flips.

    Counted at one threshold alone, few images would say little: whether one flips depends on where exactly that lies.

    Args:
        before, after: Scores of the same images, float [N].
        threshold: Verdicts are compared at it, and as far around it as the quarter of the images nearest to it reaches.

    Returns:
        Shares, 0..1, float64 [N]; their mean is the share of verdicts that flip.
    """
    reach = float(np.quantile(np.abs(before - threshold), NEAR))
    if reach == 0:
        return np.asarray((before > threshold) != (after > threshold), np.float64)
    lower, upper = np.minimum(before, after), np.maximum(before, after)
    between = np.minimum(upper, threshold + reach) - np.maximum(lower, threshold - reach)
    return np.asarray(np.maximum(between, 0) / (2 * reach), np.float64)


def _frames_of(index: int, images: JudgedImages) -> Frames:
    """The frames of one of the images whose verdicts are compared: held-out ones, then defective ones."""
    tiles = images.preprocessing.tiles
    held_out = len(images.held_out) // tiles
    if index < held_out:
        return images.held_out[slice(index * tiles, (index + 1) * tiles)]
    return images.defective[slice(index - held_out, index - held_out + 1)]


def _scores(model: onnx.ModelProto, images: JudgedImages) -> tuple[Scores, Scores, Scores]:
    """The scores of the good images, held out and trained on, and of the defective frames."""
    parts = (images.held_out, images.trained, images.defective)
    batches = run_batches(open_session(model), batch_of(model), ["score"], np.concatenate(parts))
    scores = np.concatenate([scores for (scores,) in batches])  # Maps of so many images could take all memory.
    held_out, trained, defective = np.split(scores, np.cumsum([len(part) for part in parts])[:-1])
    return frame_scores(held_out, images.preprocessing), frame_scores(trained, images.preprocessing), defective
