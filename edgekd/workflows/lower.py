"""Makes the graph of the asked precision of a float32 one: part of `export`."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import json_text
from edgekd.errors import EdgekdError, unknown_name
from edgekd.precisions import CALIBRATION_METHODS, INT8, INT8_FP16, PRECISIONS, CalibrationMethod
from edgekd.progress import Progress
from edgekd.run_folder import CALIBRATION_SUFFIX
from edgekd.workflows.lowering_images import calibrated_on, judged_on, verdicts_on

if TYPE_CHECKING:
    import onnx

    from edgekd.graph.export import Lower
    from edgekd.models.detector import Detector
    from edgekd.quantization.calibration_set import CalibrationSet
    from edgekd.recipe import TrainingRecipe

MAX_DRIFT = 0.03

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lowering:
    """How a graph is brought to a precision.

    Attributes:
        precision: One of edgekd.precisions.
        method: How activation scales are computed; None for min-max.
        max_drift: Largest RMS change of the anomaly map, in standard deviations; None for 0.03, or for no limit where
            the run was trained with INT8 rounding.
        tune: Whether layers that are faster in float on this machine's CPU stay in it.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5: the verdicts that an INT8 graph
            has to keep are those at this threshold.
    """

    precision: str
    method: str | None
    max_drift: float | None
    tune: bool = False
    false_reject_rate: float = 0.01


def check_lowering(lowering: Lowering) -> None:
    """Refuses a precision or a method that does not exist.

    Raises:
        EdgekdError: One does not.
    """
    if lowering.precision not in PRECISIONS:
        raise unknown_name("precision", lowering.precision, PRECISIONS)
    if lowering.method is not None and lowering.method not in CALIBRATION_METHODS:
        raise unknown_name("calibration method", lowering.method, CALIBRATION_METHODS)
    if lowering.tune and lowering.precision != INT8:
        raise EdgekdError(
            f"--tune needs --precision int8, got {lowering.precision}: it times layers in INT8 on this machine's CPU"
        )
    if lowering.max_drift is not None and not lowering.max_drift >= 0:
        raise EdgekdError(f"--max-drift must be at least 0, got {lowering.max_drift}")


def lowering_function(
    lowering: Lowering,
    detector: Detector,
    recipe: TrainingRecipe,
    chosen: CalibrationSet | None,
    set_file: Path,
    progress: Progress,
) -> Lower | None:
    """The function that makes the graph that ships of the float32 one.

    Args:
        lowering: Already checked.
        detector: Trained or not.
        recipe: Of its run.
        chosen: The calibration set, for INT8.
        set_file: Where the calibration set will be written.
        progress: Called while it works.

    Returns:
        None for float32 itself.
    """
    if lowering.precision == "fp32":
        return None
    if lowering.precision == "fp16":
        return _to_float16
    assert chosen is not None, "INT8 is calibrated"
    return lambda model: _quantize(model, lowering, detector, recipe, chosen, set_file, progress)


def calibration_file(artifact: Path) -> Path:
    """Where an INT8 artifact's calibration set is: beside it, ending in .calibration.json."""
    return artifact.with_suffix(CALIBRATION_SUFFIX)


def _to_float16(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Any]]:
    from edgekd.quantization.float16 import to_float16

    return to_float16(model), {"precision": "fp16"}


def _quantize(
    model: onnx.ModelProto,
    lowering: Lowering,
    detector: Detector,
    recipe: TrainingRecipe,
    chosen: CalibrationSet,
    set_file: Path,
    progress: Progress,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    from edgekd.data.good_images import read_frames
    from edgekd.engines.compiling import processor_name
    from edgekd.engines.cores import usable_cores
    from edgekd.quantization.lowering import to_int8

    method = _method(lowering.method)
    good = read_frames(chosen.paths(), recipe.preprocessing)
    learned = recipe.quantization_aware_from is not None  # Then INT8 is what was trained, and float is what drifts.
    if learned and lowering.tune:
        raise EdgekdError(
            "--tune is for runs that were trained in float: this one learned to be rounded, and what is left in float "
            "drifts"
        )
    max_drift = MAX_DRIFT if lowering.max_drift is None and not learned else lowering.max_drift
    judges, what_judges = judged_on(detector, good)
    quantized, about = to_int8(
        model,
        calibrated_on(detector, good),
        method,
        max_drift,
        learned,
        judges,
        None if max_drift is None else verdicts_on(recipe, lowering.false_reject_rate),
        float16_around=lowering.precision == INT8_FP16,
        tuned_on=usable_cores() if lowering.tune else None,
        progress=progress,
    )
    _warn_of_flips(about["quantization"]["flips"])
    about["quantization"]["judged_on"] = what_judges
    about["quantization"]["tuned_on"] = processor_name() if lowering.tune else None
    about["calibration"] = {
        "set": set_file.name,
        "sha256": hashlib.sha256(json_text(asdict(chosen)).encode()).hexdigest(),
        "images": len(chosen.images),
        "choice": chosen.choice,
        "method": method,
    }
    return quantized, about


def _warn_of_flips(share: float | None) -> None:
    """Says where more verdicts flip than may, though all was tried that leaves work in INT8."""
    from edgekd.quantization.flips import MOST_FLIPPED

    if share is not None and share > MOST_FLIPPED:
        logger.warning(
            "INT8 changes about %.2g %% of the verdicts on held-out good images and synthetic defects, and more than "
            "%.2g %% is much: lower --max-drift, or export with --precision fp16 or fp32",
            100 * share,
            100 * MOST_FLIPPED,
        )


def _method(name: str | None) -> CalibrationMethod:
    """The calibration method of a checked name; the default for None."""
    return next((method for method in CALIBRATION_METHODS if method == name), CALIBRATION_METHODS[0])
