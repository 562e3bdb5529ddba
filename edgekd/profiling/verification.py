"""Whether a built engine computes what its graph computes, checked on the machine that runs it.

A builder chooses kernels for the device, and those round differently from the CPU's. The difference is measured on
images: in the anomaly map, in the score and in the verdicts.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekd.artifact import Manifest, frame_shape, sha256
from edgekd.backends import ON_CPU, OPENVINO
from edgekd.data.generated_images import generated_frames
from edgekd.data.good_images import read_frames
from edgekd.data.synthetic_anomalies import corrupt
from edgekd.engines import Engine, Frames, Outputs, open_engine
from edgekd.engines.build_record import engine_record
from edgekd.engines.compiling import processor_name
from edgekd.engines.cuda import open_driver
from edgekd.engines.tensorrt.checks import refuse_unfit
from edgekd.engines.tensorrt.flavours import load_flavour
from edgekd.errors import DriftError, EdgekdError, MachineError
from edgekd.preprocessing import preprocessing_of
from edgekd.quantization.drift import map_noise
from edgekd.recipe import held_out_images, read_recipe
from edgekd.run_folder import RECIPE_FILE

# The largest RMS difference between the engine's anomaly maps and the graph's, in standard deviations of the maps.
# TF32, which GPUs use for float32 convolutions, rounds to as many digits as FP16 does, which costs 0.001 to 0.006.
LIMITS = {"fp32": 0.01, "fp16": 0.05, "int8": 0.05, "int8_fp16": 0.05}
MOST_IMAGES = 16
HELD_OUT = "held-out images of the run"
GENERATED = "generated images"


class Place(NamedTuple):
    """Where an engine would run on this machine.

    Attributes:
        on: The GPU or the processor; None where the engine cannot run here.
        why_not: Why it cannot; None where it can.
    """

    on: str | None
    why_not: str | None


class Images(NamedTuple):
    """Images to compare on.

    Attributes:
        frames: uint8 [N, H, W, 3], BGR.
        origin: `HELD_OUT` or `GENERATED`.
        why_generated: Why they are not the run's own; None where they are.
    """

    frames: Frames
    origin: str
    why_generated: str | None


def place_for(path: Path, manifest: Manifest, gpu: int = 0) -> Place:
    """Where an engine runs on this machine.

    Args:
        path: The engine, for messages.
        manifest: The engine's.
        gpu: Index of the GPU, as CUDA counts them.
    """
    record = engine_record(manifest, path)
    if record["flavour"] == OPENVINO:
        return Place(processor_name(), None)
    try:
        driver = open_driver(gpu)
    except MachineError as error:
        return Place(None, str(error))
    try:
        device = driver.device
        refuse_unfit(manifest, path, load_flavour(record["flavour"]), device.capability, device.name)
        return Place(f"{device.name} ({device.capability})", None)
    except EdgekdError as error:
        return Place(None, str(error))
    finally:
        driver.close()


def images_for(graph: Path, manifest: Manifest) -> Images:
    """The images that a graph and its engine are compared on, each of them also with a synthetic anomaly.

    Good images alone would leave the verdict NG untested, and some systems' maps of them are almost flat.

    Args:
        graph: The graph. Where it is in the folder of the run that it was exported from, these are the run's held-out
            images that still exist.
        manifest: The graph's.
    """
    _, height, width = frame_shape(manifest)
    try:
        good = read_frames(_held_out(graph, manifest)[:MOST_IMAGES], preprocessing_of(manifest))
        origin, why_generated = HELD_OUT, None
    except EdgekdError as error:
        good, origin, why_generated = generated_frames(MOST_IMAGES, (height, width)), GENERATED, str(error)
    rng = np.random.default_rng(0)
    anomalous = np.stack([corrupt(frame, None, rng)[0].round().astype(np.uint8) for frame in good])
    return Images(np.concatenate([good, anomalous]), origin, why_generated)


def verify_engine(path: Path, manifest: Manifest, graph: Path, images: Images, on: str, gpu: int = 0) -> dict[str, Any]:
    """Runs an engine and its graph on the same images and compares what they output.

    Args:
        path: The engine, with its manifest beside it. It must be able to run here.
        manifest: The engine's.
        graph: The graph, with its manifest beside it; a CPU back end runs it.
        images: To compare on.
        on: The device that the engine runs on, for the record.
        gpu: Index of the GPU that runs it, as CUDA counts them.

    Returns:
        The manifest's `verified`: `on`; `reference`, the back end that ran the graph; `images`, how many; `from`, what
        they are; `noise`, the RMS difference of the maps in standard deviations; `largest` and `score`, the largest
        difference of maps and of scores over the maps' range; `flips`, images that get another verdict, None without a
        threshold.

    Raises:
        DriftError: The engine's outputs differ from its graph's by more than the limit.
        MachineError: No CPU back end is installed, or the device failed.
    """
    frames, record = images.frames, engine_record(manifest, path)
    batch = frame_shape(manifest)[0] or record.get("opt_batch") or 1
    with _reference(graph) as engine:
        reference, expected = f"{engine.spec.backend} {engine.spec.version}", _run(engine, frames, batch)
    with open_engine(path, device=None if record["flavour"] == OPENVINO else f"cuda:{gpu}") as engine:
        found = _run(engine, frames, batch)
    spread = float(np.ptp(expected.anomaly_maps)) or 1.0
    threshold = (manifest.get("threshold") or {}).get("value")
    figures = {
        "on": on,
        "reference": reference,
        "images": len(frames),
        "from": images.origin,
        "noise": map_noise(expected.anomaly_maps, found.anomaly_maps),
        "largest": float(np.abs(found.anomaly_maps - expected.anomaly_maps).max()) / spread,
        "score": float(np.abs(found.scores - expected.scores).max()) / spread,
        "flips": None if threshold is None else int(_flips(expected, found, threshold).sum()),
    }
    _refuse_drift(figures, manifest["precision"], expected, found, threshold, graph)
    return figures


def _refuse_drift(
    figures: dict[str, Any], precision: str, expected: Outputs, found: Outputs, threshold: float | None, graph: Path
) -> None:
    """Refuses an engine whose outputs differ from its graph's.

    The threshold is the score of one of the held-out images, which the last digit moves to either side. So a verdict
    that differs counts only where the graph's score is farther from the threshold than the limit.
    """
    limit = LIMITS[precision]
    reasons = []
    if not np.isfinite(found.scores).all():
        reasons.append("scores that are NaN or infinite")
    if not figures["noise"] <= limit:
        reasons.append(
            f"an RMS difference of the anomaly maps of {figures['noise']:.2g} standard deviations (limit: {limit:g})"
        )
    if threshold is not None:
        clear = np.abs(expected.scores - threshold) > limit * float(expected.anomaly_maps.std(dtype=np.float64))
        flips = int((_flips(expected, found, threshold) & clear).sum())
        if flips:
            reasons.append(f"different verdicts on {flips} of {figures['images']} images")
    if reasons:
        named = shlex.quote(str(graph))
        raise DriftError(
            f"the engine does not compute what {named} computes ({figures['from']}, on {figures['on']}): "
            f"{'; '.join(reasons)}; do not use it: run the graph itself (edgekd bench --engine {named}), or export "
            "another precision and build that"
        )


def _flips(expected: Outputs, found: Outputs, threshold: float) -> Any:
    """Which images get another verdict, bool [N]."""
    return (expected.scores > threshold) != (found.scores > threshold)


def _held_out(graph: Path, manifest: Manifest) -> Sequence[Path]:
    """The held-out images of the run that a graph was exported from.

    Raises:
        EdgekdError: The graph is not in the folder of its run, or the images are not there.
    """
    recipe_file = graph.parent / RECIPE_FILE
    if not manifest.get("trained"):
        raise EdgekdError("the network is untrained")
    if not recipe_file.is_file():
        raise EdgekdError(f"{graph} is not in the folder of its run")
    recipe = read_recipe(graph.parent)
    if manifest.get("made_from", {}).get(RECIPE_FILE) != sha256(recipe_file):
        raise EdgekdError(f"{graph} was not exported from the run in {graph.parent}")
    if not recipe.held_out:
        raise EdgekdError("the run held out no images")
    paths = held_out_images(recipe)
    if not paths:
        raise EdgekdError(f"the held-out images of the run are not in {recipe.data}")
    return paths


def _reference(graph: Path) -> Engine:
    """The graph on a CPU back end.

    Raises:
        MachineError: None is installed.
    """
    *others, last = ON_CPU
    for backend in others:
        with contextlib.suppress(MachineError):
            return open_engine(graph, backend)
    return open_engine(graph, last)


def _run(engine: Engine, frames: Frames, batch: int) -> Outputs:
    """An engine's outputs for frames; a last batch that is not full is padded with its last frame."""
    scores, maps = [], []
    for start in range(0, len(frames), batch):
        part = frames[start : start + batch]
        filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
        outputs = engine.infer(filled)
        scores.append(outputs.scores[: len(part)].copy())
        maps.append(outputs.anomaly_maps[: len(part)].copy())
    return Outputs(np.concatenate(scores), np.concatenate(maps))
