"""Images that INT8 is calibrated on, that its drift is measured on, and whose verdicts it has to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgekd.workflows.scoring import evenly_spread, good_images_of, looked_at

if TYPE_CHECKING:
    from edgekd.engines import Frames
    from edgekd.models.detector import Detector
    from edgekd.quantization.flips import JudgedImages
    from edgekd.recipe import TrainingRecipe

DRIFT_SEED, CALIBRATION_SEED = 0, 1  # Of the anomalies; the drift is measured on others than INT8 is calibrated on.
HELD_OUT, TRAINED, DEFECTS = 40, 40, 60  # Images that verdicts are compared on: half a minute at 0.1 s an image.


def calibrated_on(detector: Detector, frames: Frames) -> Frames:
    """The frames that scales, weights and biases are fitted to; see `with_anomalies`.

    Args:
        detector: Trained or not.
        frames: Of the calibration set, uint8 [N, H, W, 3], BGR.
    """
    return with_anomalies(detector, frames, CALIBRATION_SEED)


def judged_on(detector: Detector, frames: Frames) -> tuple[Frames, str]:
    """The frames that the drift is measured on; see `with_anomalies`.

    Args:
        detector: Trained or not.
        frames: Of the calibration set, uint8 [N, H, W, 3], BGR.

    Returns:
        The frames, and what they are.
    """
    from edgekd.quantization.lowering import few_of
    from edgekd.training.run import makes_anomalies

    shown = ", every other with a synthetic anomaly" if makes_anomalies(detector) else ""
    return with_anomalies(detector, few_of(frames), DRIFT_SEED), f"calibration images{shown}"


def with_anomalies(detector: Detector, frames: Frames, seed: int) -> Frames:
    """Good frames, every other with a synthetic anomaly where a detector learns from such.

    The maps of such networks are next to flat on good images; beside that any rounding is much. And their activations
    are far larger on anomalies than on anything good.

    Args:
        detector: Trained or not.
        frames: uint8 [N, H, W, 3], BGR; not changed.
        seed: Of the anomalies.
    """
    from edgekd.data.synthetic_anomalies import corrupt
    from edgekd.training.run import makes_anomalies

    if not makes_anomalies(detector):
        return frames
    shown, rng = frames.copy(), np.random.default_rng(seed)
    for frame in shown[::2]:
        frame[:] = corrupt(frame, None, rng)[0].round()
    return shown


def verdicts_on(recipe: TrainingRecipe, false_reject_rate: float) -> JudgedImages | None:
    """Held-out good images and synthetic defects in them, whose verdicts a graph in INT8 has to keep.

    Args:
        recipe: Of the run.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5.

    Returns:
        None where too few images were held out to set a threshold, as of an untrained system.
    """
    from edgekd.data.good_images import read_frames
    from edgekd.data.synthetic_defects import synthetic_defects
    from edgekd.quantization.flips import JudgedImages
    from edgekd.verdicts.threshold import FEWEST_IMAGES

    if not recipe.data or len((good := good_images_of(recipe)).held_out) < FEWEST_IMAGES:
        return None
    held_out = read_frames(evenly_spread(good.held_out, HELD_OUT), recipe.preprocessing)
    trained = read_frames(evenly_spread(good.trained, TRAINED), recipe.preprocessing)
    defective, _ = synthetic_defects(looked_at(held_out, recipe.preprocessing), DEFECTS, recipe.seed)
    return JudgedImages(held_out, trained, defective, recipe.preprocessing, false_reject_rate)
