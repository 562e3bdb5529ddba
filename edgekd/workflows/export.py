"""Exports a run, or a system that is not trained, to an .onnx detector, compared with torch before it is kept."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.artifact import Manifest, manifest_path, read_entries, read_manifest, require_writable, sha256
from edgekd.errors import ArtifactError, EdgekdError, unknown_name
from edgekd.precisions import QUANTIZED
from edgekd.preprocessing import Size, parse_size
from edgekd.progress import Progress, silent
from edgekd.run_folder import (
    DETECTOR_FILE,
    RECIPE_FILE,
    STUDENT_FILE,
    TEACHER_FILE,
    artifact_name,
)
from edgekd.verdicts.threshold import history_with
from edgekd.view import view_entry
from edgekd.workflows.calibrate import CalibrateOptions, check_choice, choose_set
from edgekd.workflows.calling import takes_options
from edgekd.workflows.good_limits import artifact_limits
from edgekd.workflows.lower import Lowering, calibration_file, check_lowering, lowering_function
from edgekd.workflows.triton import TritonOptions, plan_triton, plan_triton_of

if TYPE_CHECKING:
    from edgekd.engines.triton_config import TritonModel
    from edgekd.graph.export import Measure
    from edgekd.models.detector import Detector
    from edgekd.recipe import TrainingRecipe

PARITY_FRAMES = 4  # Of a graph whose batch is free.
SIZE = 256
OF_INT8 = (
    "calibration",
    "calibration_images",
    "calibration_choice",
    "calibration_seed",
    "calibration_method",
    "max_drift",
)
OF_AN_EXPORT = ("batch", "size", "output", "precision", "calibration")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportOptions:
    """Options of `export`.

    Attributes:
        what: Folder of a run; name of a system, exported untrained; or with `triton` an .onnx or .engine artifact.
        precision: "fp32", "fp16", "int8" (float32 around it, for CPUs) or "int8_fp16" (for TensorRT).
        batch: Images a batch, or "dynamic" for any number. Where a run divides images into tiles, the graph's batch is
            all tiles of so many images.
        size: Of the frames of an untrained system, in pixels: a side, or height and width, such as "128x320" or
            (128, 320). None for 256.
        output: The .onnx file; None for detector.onnx (_fp16, _int8, _int8_fp16) in the run, or SYSTEM.onnx here.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5.
        calibration: For INT8: folder of good images, or the manifest of a calibration set; None for the images that
            the run was trained on.
        calibration_images: Images in the set; None for 32.
        calibration_choice: "k-centre" or "random"; None for k-centre.
        calibration_seed: Of a random choice; None for 0.
        calibration_method: How activation scales are computed: "min-max", "percentile" or "entropy"; None for min-max.
        max_drift: Largest RMS change of the anomaly map, in standard deviations; sensitive layers stay in float to
            meet it. None for 0.03.
        tune: For "int8": whether layers that are faster in float on this machine's CPU stay in it, which is measured.
        triton: Folder of a model repository of Triton Inference Server, to write the artifact into as well.
        triton_backend: Of Triton; None for onnxruntime, or tensorrt for an engine.
        triton_device: "cpu" or "gpu"; None for cpu, or gpu for tensorrt.
        triton_max_batch: Frames that Triton may batch, where the batch is free; None for 8.
        answer_file: File that the caller writes the result to; refused before the work where it cannot be written or
            the artifact's manifest goes.
        progress: Called while it works.
    """

    what: str | Path
    precision: str = "fp32"
    batch: int | Literal["dynamic"] = 1
    size: int | str | Size | None = None
    output: str | Path | None = None
    false_reject_rate: float = 0.01
    calibration: str | Path | None = None
    calibration_images: int | None = None
    calibration_choice: str | None = None
    calibration_seed: int | None = None
    calibration_method: str | None = None
    max_drift: float | None = None
    tune: bool = False
    triton: str | Path | None = None
    triton_backend: str | None = None
    triton_device: str | None = None
    triton_max_batch: int | None = None
    answer_file: str | Path | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)

    @property
    def free_batch(self) -> int | None:
        """Images a batch; None where it is free."""
        return None if self.batch == "dynamic" else self.batch

    def frames_a_batch(self, tiles: int) -> int | None:
        """Frames of the network a batch; None where it is free.

        Args:
            tiles: Of an image.
        """
        return None if self.free_batch is None else self.free_batch * tiles


@dataclass(frozen=True)
class ExportResult:
    """What `export` wrote.

    Attributes:
        artifact: The .onnx file; its manifest is beside it.
        exported: Whether it was written now; False where it was there and only went to Triton.
        system: Such as "hkt".
        precision: Of the artifact.
        macs: Multiply-accumulates for one image, all of its tiles.
        threshold: Its value, origin and false reject rate; None where too few good images were held out.
        manifest: All that is recorded of the artifact.
        triton: Folder, back end, device and largest batch of the model in Triton's repository; None without one.
    """

    artifact: Path
    exported: bool
    system: str
    precision: str
    macs: int
    threshold: dict[str, Any] | None
    manifest: Manifest
    triton: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return asdict(self) | {"artifact": str(self.artifact)}


@takes_options(ExportOptions)
def export(options: ExportOptions) -> ExportResult:
    """Exports a run, or an untrained system, to an .onnx detector; or writes an artifact into Triton's repository.

    Args: see `ExportOptions`.

    Returns:
        The artifact and what its manifest records, among it the threshold.

    Raises:
        EdgekdError: An option does not fit, or the graph differs from the network in torch.
        ArtifactError: The run or the calibration set is damaged.
        DriftError: `max_drift` cannot be met.
    """
    from edgekd.models.registry import SYSTEMS
    from edgekd.recipe import read_recipe

    _check(options)
    what, is_system = Path(options.what), str(options.what) in SYSTEMS
    if not is_system and what.is_file():
        return _serve(options, what)
    if not is_system and not what.is_dir():
        raise EdgekdError(f"{unknown_name('system', str(options.what), SYSTEMS)}; and there is no run of that name")
    if not is_system and options.size is not None:
        raise EdgekdError("a run keeps the size it was trained with: leave --size out, or train with another")
    output = _output(options, is_system)
    tiles = 1 if is_system else read_recipe(what).view.count
    served = plan_triton(_triton(options), output, options.frames_a_batch(tiles))
    manifest = (_export_untrained if is_system else _export_run)(options, output, served)
    return _result(output, True, manifest, served)


def _check(options: ExportOptions) -> None:
    """Refuses options that do not fit together, before any work."""
    check_lowering(_lowering(options))
    given = [name for name in OF_INT8 if getattr(options, name) is not None]
    if options.precision not in QUANTIZED and given:
        raise EdgekdError(f"{_flag(given[0])} needs --precision int8 or int8_fp16, got {options.precision}")
    check_choice(_calibration(options))
    if options.batch != "dynamic" and options.batch < 1:
        raise EdgekdError(f"--batch must be a positive integer or dynamic, got '{options.batch}'")
    if not 0 <= options.false_reject_rate <= 0.5:
        raise EdgekdError(f"--false-reject-rate must be a number from 0 to 0.5, got {options.false_reject_rate}")


def _output(options: ExportOptions, is_system: bool) -> Path:
    """Where the artifact goes, refused where it is not an .onnx file."""
    if options.output is not None:
        output = Path(options.output)
    elif is_system:
        output = Path(artifact_name(f"{options.what}.onnx", options.precision))
    else:
        output = Path(options.what) / artifact_name(DETECTOR_FILE, options.precision)
    if output.suffix != ".onnx":
        raise EdgekdError(f"--output {output} must end in .onnx")
    _refuse_answer_file(options, output)
    return output


def _refuse_answer_file(options: ExportOptions, artifact: Path) -> None:
    """Refuses a file for the answer that cannot be written, or where the artifact or its manifest goes."""
    if options.answer_file is None:
        return
    answer_file = Path(options.answer_file)
    taken = (artifact, manifest_path(artifact), calibration_file(artifact))
    if answer_file.resolve() in [path.resolve() for path in taken]:
        raise EdgekdError(f"--json {answer_file} is where the artifact or a manifest goes: give another name")
    require_writable(answer_file)


def _serve(options: ExportOptions, artifact: Path) -> ExportResult:
    """Writes an artifact that is there already into a model repository."""
    if artifact.suffix not in (".onnx", ".engine"):
        raise EdgekdError(f"{artifact} is a file: name a system, the folder of a run, or an .onnx or .engine file")
    if options.triton is None:
        raise EdgekdError(f"{artifact} is exported already: give --triton DIR to write it into a model repository")
    defaults = ExportOptions(options.what)
    for name in OF_AN_EXPORT:
        if getattr(options, name) != getattr(defaults, name):
            raise EdgekdError(f"--{name} is for exporting a run or a system, and {artifact} is exported already")
    _refuse_answer_file(options, artifact)
    manifest = read_manifest(artifact)
    return _result(artifact, False, manifest, plan_triton_of(_triton(options), artifact, manifest))


def _result(artifact: Path, exported: bool, manifest: Manifest, served: TritonModel | None) -> ExportResult:
    if served is not None:
        from edgekd.engines.triton_repository import write_model

        write_model(served, artifact, manifest)
    return ExportResult(
        artifact,
        exported,
        manifest["system"],
        manifest["precision"],
        manifest["macs"],
        manifest["threshold"],
        manifest,
        None if served is None else served._asdict() | {"folder": str(served.folder)},
    )


def _export_untrained(options: ExportOptions, output: Path, served: TritonModel | None) -> Manifest:
    from edgekd.data.generated_images import generated_frames
    from edgekd.models.registry import find_system
    from edgekd.recipe import TrainingRecipe
    from edgekd.training.run import untrained_detector
    from edgekd.workflows.training_recipe import settings_of

    system = str(options.what)
    size = parse_size(SIZE if options.size is None else options.size)
    settings = settings_of(find_system(system), {}, None)  # As `edgekd train` builds it: that is what will run.
    recipe = TrainingRecipe(system, "", {}, iterations=0, size=size, settings=settings)
    detector = untrained_detector(recipe)
    logger.info(
        "%s is exported untrained, with %s for a teacher: its speed is real, its scores mean nothing",
        system,
        " + ".join(detector.pretrained()),
    )
    origin = {
        "trained": False,
        "made_from": {"seed": recipe.seed, "settings": recipe.settings},
        "teachers": [],
        "calibration": None,
        "threshold": None,
        "good_scores": None,
        "parity_images": "generated images",
    }
    frames = generated_frames(options.free_batch or PARITY_FRAMES, recipe.size)
    return _write(options, detector, recipe, frames, output, origin, served, None)


def _export_run(options: ExportOptions, output: Path, served: TritonModel | None) -> Manifest:
    from edgekd.data.good_images import read_frames
    from edgekd.data.image_hashes import require_unchanged_images
    from edgekd.recipe import held_out_images
    from edgekd.training.record import training_record
    from edgekd.training.run import load_run, training_images
    from edgekd.training.teachers.cards import read_teacher_cards

    folder = Path(options.what)
    detector, recipe = load_run(folder)
    require_unchanged_images(folder, recipe)
    held_out = held_out_images(recipe)
    images = held_out or training_images(recipe)
    count = options.free_batch or PARITY_FRAMES
    frames = read_frames([images[index % len(images)] for index in range(count)], recipe.preprocessing)
    origin = {
        "trained": True,
        "resize": {"rule": recipe.resize},
        "view": view_entry(recipe.view),
        "bit_depth": recipe.bit_depth,
        "made_from": {name: sha256(folder / name) for name in (RECIPE_FILE, STUDENT_FILE, TEACHER_FILE)},
        "iterations": recipe.iterations,
        "training": training_record(recipe),
        "teachers": read_teacher_cards(folder),
        "calibration": None,
        "threshold": None,
        "good_scores": None,
        "parity_images": f"{'held-out' if held_out else 'training'} good images of the run",
    }
    if recipe.quantization_aware_from is not None and options.precision not in QUANTIZED:
        logger.info(
            "this run was trained with INT8 rounding; in %s it is not the network that was trained", options.precision
        )

    earlier = _earlier_threshold(output)

    def measure(artifact: Path) -> dict[str, Any]:
        rate, is_float = options.false_reject_rate, options.precision == "fp32"
        limits = artifact_limits(artifact, detector, recipe, rate, is_float, options.progress)
        if earlier is not None and limits["threshold"] is not None:
            limits["threshold"]["history"] = list(history_with(earlier))
            logger.info(
                "the threshold %.6g (%s) is replaced, and kept in the history", earlier["value"], earlier["origin"]
            )
        return limits

    return _write(options, detector, recipe, frames, output, origin, served, measure)


def _earlier_threshold(output: Path) -> dict[str, Any] | None:
    """The threshold of the artifact that an export replaces, which somebody may have set; None where there is none."""
    with contextlib.suppress(ArtifactError):
        return read_entries(manifest_path(output)).get("threshold")
    return None


def _write(
    options: ExportOptions,
    detector: Detector,
    recipe: TrainingRecipe,
    frames: Any,
    output: Path,
    origin: dict[str, Any],
    served: TritonModel | None,
    measure: Measure | None,
) -> Manifest:
    """Writes the artifact, its manifest, and for INT8 its calibration set."""
    from edgekd.engines.triton_repository import refuse_other_model
    from edgekd.graph.export import export_detector
    from edgekd.quantization.calibration_set import write_calibration_set

    if served is not None:
        refuse_other_model(served, {"system": recipe.system, "precision": options.precision, **origin})
    chosen = choose_set(detector, recipe, _calibration(options)) if options.precision in QUANTIZED else None
    set_file, progress = calibration_file(output), options.progress
    lower = lowering_function(_lowering(options), detector, recipe, chosen, set_file, progress)
    batch = options.frames_a_batch(recipe.view.count)
    manifest = export_detector(
        detector, recipe.system, recipe.size, batch, frames, output, origin, lower, measure, progress
    )
    if chosen is not None:
        write_calibration_set(set_file, chosen)
    return manifest


def _lowering(options: ExportOptions) -> Lowering:
    return Lowering(
        options.precision, options.calibration_method, options.max_drift, options.tune, options.false_reject_rate
    )


def _calibration(options: ExportOptions) -> CalibrateOptions:
    return CalibrateOptions(
        options.what,
        options.calibration,
        options.calibration_images,
        options.calibration_choice,
        options.calibration_seed,
        options.progress,
    )


def _triton(options: ExportOptions) -> TritonOptions:
    return TritonOptions(options.triton, options.triton_backend, options.triton_device, options.triton_max_batch)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
