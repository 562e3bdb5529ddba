"""What a manifest holds: one typed model, held against what stands in the file before anything else uses it.

An entry that came after the first manifests of this format version is optional, and so are all that only a report
shows. What a later edgekd wrote besides is left alone.
"""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, PlainValidator, TypeAdapter, model_validator

from edgekd.backends import BUILDERS, BUILT
from edgekd.paper_setups import PAPER_SETUPS
from edgekd.precisions import CALIBRATION_CHOICES, CALIBRATION_METHODS, PRECISIONS
from edgekd.typed import (
    BitDepth,
    Count,
    Digest,
    Entry,
    FileName,
    Flag,
    NotNegative,
    Number,
    Positive,
    Quantiles,
    Range,
    Share,
    Side,
    Text,
    digest,
    one_of,
    text,
)
from edgekd.view import View

LARGEST_BATCH_BYTES = 1 << 31  # Of frames; an engine's slots are allocated before its graph can be asked.


def _batch(value: object) -> int | str:
    if value == "batch":
        return "batch"
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise ValueError("must be a positive integer, or 'batch' where it is free")
    return value


def _made_from(value: object) -> object:
    """A file's hash; of an untrained detector the seed and the settings stand there."""
    return value if isinstance(value, (int, dict)) and not isinstance(value, bool) else digest(value)


def _warning(value: object) -> object:
    """A sentence; or an object with it, its code and its figures, which earlier manifests lack."""
    if isinstance(value, dict):
        for name in ("code", "text"):
            text(value.get(name))
        return value
    return text(value)


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError:
        words = []
    if words[:2] != ["edgekd", "build"]:  # It is printed, to be pasted.
        raise ValueError("must be a command that begins with edgekd build")
    return value


Batch = Annotated[int | str, PlainValidator(_batch)]
Command = Annotated[Text, AfterValidator(_command)]
MadeFrom = Annotated[Any, PlainValidator(_made_from)]


class Frames(Entry):
    """The input: images as a camera gives them."""

    dtype: Literal["uint8"]
    shape: tuple[Batch, Side, Side, Literal[3]]
    layout: Text | None = None


class Score(Entry):
    """The output by which a frame is judged."""

    dtype: Literal["float32"]
    shape: tuple[Batch]


class AnomalyMap(Entry):
    """The output that shows where."""

    dtype: Literal["float32"]
    shape: tuple[Batch, Side, Side]


class Inputs(Entry):
    """What the graph takes, and nothing besides."""

    model_config = ConfigDict(extra="forbid")

    frames: Frames


class Outputs(Entry):
    """What the graph gives, and nothing besides."""

    model_config = ConfigDict(extra="forbid")

    score: Score
    anomaly_map: AnomalyMap


class Resize(Entry):
    """The rule by which images are brought to the size of the frames."""

    rule: Text = ""


class LimitEntry(Entry):
    """A limit of the score, and what it promises."""

    false_reject_rate: Share
    value: Number
    above: Count | None = None
    expected: Share | None = None
    bound: Share | None = None


class PixelLimit(Entry):
    """Where the anomaly map is above it is a region."""

    value: Number


class Suspicious(Entry):
    """A good image that was set aside."""

    name: Text
    score: Number


class ThresholdEntry(LimitEntry):
    """A threshold, what it promises, and on what that rests."""

    origin: Text
    good_images: Count | None = None
    trained_images: Count | None = None
    rule: Text | None = None
    median_good: Number | None = None
    images_wanted: Count | None = None
    suspicious: tuple[Suspicious, ...] = ()
    limits: tuple[LimitEntry, ...] = ()
    warnings: tuple[Annotated[Any, PlainValidator(_warning)], ...] = ()
    history: tuple[dict[Text, Any], ...] = ()

    @model_validator(mode="after")
    def _promise_is_whole(self) -> ThresholdEntry:
        if self.bound is not None and None in (self.expected, self.above, self.good_images):
            raise ValueError("must hold expected, above and good_images beside bound")
        return self


class GoodScores(Entry):
    """How the scores of good images are distributed."""

    count: Positive
    quantiles: Quantiles


class CheckEntry(Entry):
    """A check of the image: on unless it was switched off, and then it needs its limits."""

    on: Flag = True

    @model_validator(mode="after")
    def _limits_are_there(self) -> CheckEntry:
        for name, value in self:
            if self.on and value is None:
                raise ValueError(f"must hold {name}, or be switched off by 'on': false")
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"must hold the lower limit of {name} first, got {value[0]:g} and {value[1]:g}")
        return self


class SizeCheck(CheckEntry):
    """Widths, heights and shapes, width over height, of images that are judged."""

    width: Range | None = None
    height: Range | None = None
    shape: Range | None = None


class LeastCheck(CheckEntry):
    """What an image must have at least."""

    least: Number | None = None
    good: Number | None = None


class BrightCheck(CheckEntry):
    """How bright an image may be, and how much of it white."""

    most: Number | None = None
    good: Number | None = None
    most_saturated: Number | None = None
    good_saturated: Number | None = None


class BlurredCheck(LeastCheck):
    """How sharp an image must be at least."""

    least_detail: Number | None = None
    good_detail: Number | None = None


class CheckQuantiles(Entry):
    """How the good images' statistics are distributed."""

    level: Quantiles | None = None
    sharpness: Quantiles | None = None


class ImageChecksEntry(Entry):
    """The checks of the image itself; one that is missing is off."""

    good_images: Count | None = None
    quantiles: CheckQuantiles | None = None
    size: SizeCheck | None = None
    dark: LeastCheck | None = None
    bright: BrightCheck | None = None
    flat: LeastCheck | None = None
    blurred: BlurredCheck | None = None
    frozen: CheckEntry | None = None


class SettingEntry(Entry):
    """A setting that is not the paper's."""

    value: Any
    paper: Any


class TrainingEntry(Entry):
    """The training, to be set beside the paper's."""

    preset: Text | None = None
    minutes: NotNegative | None = None
    batch: Positive
    learning_rate: NotNegative
    weight_decay: NotNegative
    schedule: Text
    warm_up: Share
    optimizer: Text
    initialisation: Annotated[str, one_of(("random", "images"))]
    augment: tuple[Text, ...]
    arithmetic: Text
    quantization_aware_from: Count | None
    settings: dict[Text, SettingEntry]
    synthetic_anomalies: Flag
    textures: Count | None
    trained_images: Positive | None
    held_out_images: Count
    own_validation: Flag


class TeacherEntry(Entry):
    """A teacher, and where its weights come from."""

    name: Text
    sha256: Digest
    card: dict[Text, Any] | None = None


class CalibrationEntry(Entry):
    """The calibration set beside the artifact."""

    set: FileName
    sha256: Digest
    images: Count
    choice: Annotated[str, one_of(CALIBRATION_CHOICES)]
    method: Annotated[str, one_of(CALIBRATION_METHODS)]


class QuantizationEntry(Entry):
    """What is in INT8, and what stayed in float."""

    method: Text | None = None
    layers_in_int8: tuple[Text, ...] = ()
    layers_in_float: tuple[Text, ...] = ()
    maps_in_float: tuple[Text, ...] = ()
    faster_in_float: tuple[Text, ...] = ()
    tuned_on: Text | None = None
    tuned_time_ratio: NotNegative | None = None
    in_float_by_rule: dict[Text, Text] | None = None
    max_drift: NotNegative | None = None
    noise: NotNegative | None = None
    flips: Share | None = None
    judged_on: Text | None = None


class DeviceEntry(Entry):
    """What an engine was built on."""

    name: Text | None = None


class EngineEntry(Entry):
    """How an engine was built."""

    flavour: Annotated[str, one_of(BUILDERS)] = ""
    version: Text = ""
    portable: Flag | None = None
    largest_batch: Positive | None = None
    opt_batch: Positive | None = None
    workspace_mib: Count | None = None
    hardware_compatibility: Text | None = None
    user_allocation: Flag | None = None
    compute_capabilities: tuple[Text, ...] = ()
    onnx: FileName = ""
    onnx_sha256: Digest | None = None
    build_seconds: NotNegative | None = None
    command: Command = ""
    device: DeviceEntry | None = None


class LayerEntry(Entry):
    """A layer of an engine."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    kind: Text
    reads: Text | None
    nodes: tuple[Text, ...]
    bytes_moved: dict[Text, Count] | None = None


class ArtifactManifest(Entry):
    """A manifest of format version 1."""

    format_version: Literal[1]
    file: FileName
    sha256: Digest
    system: Annotated[str, one_of(PAPER_SETUPS)]
    precision: Annotated[str, one_of(PRECISIONS)]
    inputs: Inputs
    outputs: Outputs
    macs: Count
    made_from: dict[FileName, MadeFrom]
    trained: Flag = False
    iterations: Count | None = None
    training: TrainingEntry | None = None
    teachers: tuple[TeacherEntry, ...] = ()
    resize: Resize | None = None
    view: View | None = None
    bit_depth: BitDepth | None = None
    threshold: ThresholdEntry | None = None
    pixel_limit: PixelLimit | None = None
    good_scores: GoodScores | None = None
    image_checks: ImageChecksEntry | None = None
    calibration: CalibrationEntry | None = None
    quantization: QuantizationEntry | None = None
    operators: tuple[Text, ...] | None = None
    tools: dict[Text, Text] | None = None
    engine: EngineEntry | None = None
    layers: tuple[LayerEntry, ...] | None = None
    verified: dict[Text, Any] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> ArtifactManifest:
        batch, height, width, channels = self.inputs.frames.shape
        frames = 1 if isinstance(batch, str) else batch
        if frames * height * width * channels >= LARGEST_BATCH_BYTES:
            raise ValueError(f"inputs.frames.shape must be less than {LARGEST_BATCH_BYTES >> 30} GiB")
        if self.outputs.score.shape != (batch,):
            raise ValueError(f"outputs.score.shape must be [{batch}], as inputs.frames.shape begins")
        if self.outputs.anomaly_map.shape != (batch, height, width):
            raise ValueError(f"outputs.anomaly_map.shape must be [{batch}, {height}, {width}], as inputs.frames has it")
        tiles = 1 if self.view is None else self.view.count
        if frames % tiles and batch == frames:
            raise ValueError(f"inputs.frames.shape begins with {batch}, and view.tiles needs a multiple of {tiles}")
        built = self.engine if self.engine is not None and self.engine.flavour in BUILT else None
        if built is not None and batch != frames and built.largest_batch is None:
            raise ValueError("engine.largest_batch is missing, and inputs.frames.shape leaves the batch free")
        if self.trained and self.iterations is None:
            raise ValueError("iterations is missing, and trained is true")
        return self


MANIFEST = TypeAdapter(ArtifactManifest)
