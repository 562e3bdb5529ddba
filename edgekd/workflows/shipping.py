"""What the candidates of `choose` are in INT8: timed as soon as one is trained, and the one to take as it ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekd.artifact import Manifest, read_manifest
from edgekd.precisions import CALIBRATION_METHODS, INT8
from edgekd.progress import Progress
from edgekd.workflows.finishing import finish_export
from edgekd.workflows.judge import Judge, judge_detector

if TYPE_CHECKING:
    import onnx

TIMING_SECONDS, TIMING_IMAGES = 1.5, 8
CALIBRATED_ON = 2  # Good images: they change a graph's scales, and not its time.


class Shipped(NamedTuple):
    """A run's INT8 detector, as `edgekd export` writes it.

    Attributes:
        artifact: The .onnx file.
        image_auroc: On the images that candidates are judged on.
        latency_ms: Median, from the decoded image to the verdict.
    """

    artifact: str
    image_auroc: float
    latency_ms: float


def ship(run: Path, judge: Judge, progress: Progress) -> Shipped:
    """Exports a run in INT8 as it ships, unless that is done, and judges and times the artifact.

    Args:
        run: Folder of a trained run.
        judge: What candidates are judged on.
        progress: Called as it advances.

    Raises:
        EdgekdError: The run cannot be exported.
    """
    artifact = finish_export(run, INT8, progress)
    return Shipped(str(artifact), judge_detector(artifact, judge, progress), median_latency(artifact, judge.good))


def time_in_int8(run: Path, artifact: Path, images: Sequence[Path], progress: Progress) -> tuple[float, int]:
    """The latency of a run's network with all of its layers in INT8, and its multiply-accumulates for one image.

    Which layers have to stay in float to keep the map takes minutes to find out, and changes the time of a network by a
    tenth: that is for the one network that ships.

    Args:
        run: Folder of a trained run.
        artifact: The .onnx file to write.
        images: Good ones.
        progress: Called as it advances.

    Returns:
        The median, in milliseconds from the decoded image to the verdict; and MACs of all tiles.

    Raises:
        EdgekdError: The graph differs from the network.
    """
    from edgekd.data.good_images import read_frames
    from edgekd.graph.export import export_detector
    from edgekd.quantization.lowering import to_int8
    from edgekd.training.run import load_run
    from edgekd.view import view_entry

    detector, recipe = load_run(run)
    frames = read_frames(images[:CALIBRATED_ON], recipe.preprocessing)
    origin: Manifest = {
        "trained": False,  # As far as its scores go: nobody may take it for a detector.
        "resize": {"rule": recipe.resize},
        "view": view_entry(recipe.view),
        "bit_depth": recipe.bit_depth,
        "made_from": {},
        "teachers": [],
        "calibration": None,
        "threshold": None,
        "good_scores": None,
    }
    artifact.parent.mkdir(parents=True, exist_ok=True)

    def lower(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Any]]:
        return to_int8(model, frames, CALIBRATION_METHODS[0], None, progress=progress)

    count = recipe.view.count
    manifest = export_detector(
        detector, recipe.system, recipe.size, count, frames[:count], artifact, origin, lower, None, progress
    )
    return median_latency(artifact, images), int(manifest["macs"])


def median_latency(artifact: Path, images: Sequence[Path]) -> float:
    """The median latency of an artifact, in milliseconds from the decoded image to the verdict.

    Args:
        artifact: With its manifest beside it.
        images: To measure on; the first few are taken.
    """
    from edgekd.data.images import read_image
    from edgekd.engines import open_engine
    from edgekd.profiling.bench import measure_latency
    from edgekd.profiling.timing import summarise

    with open_engine(artifact) as engine:
        frames = [read_image(image, engine.preprocessing.bit_depth) for image in images[:TIMING_IMAGES]]
        stages, _ = measure_latency(engine, read_manifest(artifact), frames, TIMING_SECONDS)
    return summarise(stages["end_to_end"])["median"]
