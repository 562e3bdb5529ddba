"""Recipes: how a run is trained, kept in its folder, and what a system's graph may hold, kept in export/."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter

from edgekd.artifact import read_json, write_json
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.json_files import kind_of
from edgekd.preprocessing import Preprocessing, parse_size
from edgekd.resize_rules import AREA, CURRENT_RESIZE_RULE, known_rule
from edgekd.resources import resource
from edgekd.run_folder import RECIPE_FILE
from edgekd.typed import (
    BitDepth,
    Count,
    Flag,
    InnerPaths,
    NotNegative,
    Setting,
    Share,
    Side,
    Text,
    checked,
    digest,
    digests,
    inner_path,
    list_of,
    name_check,
    one_of,
    text,
)
from edgekd.view import WHOLE, View

Schedule = Literal["constant", "step", "cosine"]
Preset = Literal["timed", "paper"]
Augmentation = Literal["flip_horizontal", "flip_vertical", "symmetries", "turn", "shift"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)
TIMED, PAPER = "timed", "paper"
RANDOM, FROM_IMAGES = "random", "images"  # Initialisations.
OPTIMIZERS = ("", "adam", "adamw", "sgd")  # The first is the paper's.


def _both_sides(value: object) -> object:
    """A size as height and width; runs of before there were rectangles hold one side."""
    return (value, value) if isinstance(value, int) else value


Sides = Annotated[tuple[Side, Side], BeforeValidator(_both_sides)]
Batch = Annotated[int, Field(strict=True, ge=1, le=1 << 14)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**64)]


def _data_change(value: object) -> object:
    """Checks that a run went on with changed images as `edgekd.training.changed_data` puts it down."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    before, iterations = value.get("images_before"), value.get("iterations")
    if not isinstance(iterations, int) or iterations < 0 or not isinstance(value.get("date"), str):
        raise ValueError("must have a date and the iterations done by then")
    if before is not None:
        digest(before)
    for kind in ("added", "removed", "changed"):
        if not isinstance(value.get(kind), list):
            raise ValueError(f"must list what was {kind}")
        for name in value[kind]:
            inner_path(name)
    return value


DataChange = Annotated[dict[str, Any], PlainValidator(_data_change)]


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides the weights of a run.

    Attributes:
        system: Such as "hkt".
        data: The folder of good images, or of a dataset's category.
        teachers: By name, or by the file that they came from: the SHA-256 of each one's weights.
        iterations: Optimizer steps.
        size: Height and width that images are brought to, in pixels; a single side makes squares, as in runs of
            before there were rectangles.
        batch: Images a step.
        learning_rate: Of the first stage; later stages keep their paper's proportion to it.
        weight_decay: Of the optimizer.
        schedule: Of the learning rate: "constant", "step" (a tenth of it for the last twentieth) or "cosine" (to 0).
        seed: Of the weights, the order of images and which are held out.
        held_out: Good images that are not trained on, relative to `data`; they set the threshold.
        bit_depth: Bits that images of 16 bits use, 9..16; None where it was not stated.
        left_out: Good images that are copies of held-out ones, relative to `data`: neither trained on nor scored.
        held_out_share: Share of the good images to hold out, where the dataset has none of its own for that; None for
            ours, as `edgekd.data.good_images.split_good_images` has it.
        trained_images: Good images that are trained on; 0 in runs of before this was kept.
        mixed_precision: Whether convolutions are computed in bfloat16.
        textures: A folder of images that synthetic anomalies take their texture from; empty for noise.
        texture_images: Images in that folder; 0 without one, and in runs of before this was kept.
        settings: The system's own settings, where they differ from its paper's.
        quantization_aware_from: The iteration from which on everything computes as in INT8; None for never.
        resize: The rule by which images are brought to that size; runs of before there were rules keep the first.
        preset: What was taken where nothing was given: "timed", ours for a time, or "paper".
        minutes: That size, batch and iterations were fitted to; None where the iterations were given.
        optimizer: "adam", "adamw" (decoupled weight decay) or "sgd" (momentum 0.9); empty for the paper's.
        warm_up: Share of each stage's iterations over which the learning rate rises.
        initialisation: "random" as torch draws weights, or "images", scaled layer by layer on good images.
        augment: How images are changed at random: "flip_horizontal", "flip_vertical", "symmetries" (flips and quarter
            turns), "turn" (any angle) or "shift" (by up to 1/64 of a side); empty for as they are.
        view: What of an image is looked at, and how; runs of before there were views stretch whole images.
        images: The SHA-256 of each image that is trained on or held out, by its path relative to `data`; empty in runs
            of before this was kept.
        data_changes: When images changed and the run went on with them: `date`, `iterations` done by then, the names
            that were `added`, `removed` and `changed`, and `images_before`, the SHA-256 over the hashes until then.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    system: Text
    data: Text
    teachers: Annotated[dict[str, str], digests(text)]
    iterations: Count
    size: Sides = (256, 256)
    batch: Batch = 1
    learning_rate: NotNegative = 1e-4
    weight_decay: NotNegative = 1e-5
    schedule: Annotated[str, one_of(get_args(Schedule))] = "constant"
    seed: Seed = 0
    held_out: InnerPaths = ()
    mixed_precision: Flag = False
    textures: Text = ""
    settings: dict[Text, Setting] = field(default_factory=dict)
    quantization_aware_from: Count | None = None
    resize: Text = CURRENT_RESIZE_RULE
    preset: Annotated[str, one_of(get_args(Preset))] = PAPER
    minutes: NotNegative | None = None
    optimizer: Annotated[str, one_of(OPTIMIZERS)] = ""
    warm_up: Share = 0.0
    initialisation: Annotated[str, one_of((RANDOM, FROM_IMAGES))] = RANDOM
    held_out_share: Share | None = None
    trained_images: Count = 0
    texture_images: Count = 0
    augment: Annotated[tuple[str, ...], list_of(name_check(AUGMENTATIONS))] = ()
    left_out: InnerPaths = ()
    view: View = WHOLE
    bit_depth: BitDepth | None = None
    images: Annotated[dict[str, str], digests(inner_path)] = field(default_factory=dict)
    data_changes: tuple[DataChange, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", parse_size(self.size))

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are prepared, in training and by what is exported."""
        return Preprocessing(*self.size, self.resize, self.view, self.bit_depth)


def write_recipe(run: Path, recipe: TrainingRecipe) -> None:
    """Puts a recipe into a run folder."""
    write_json(run / RECIPE_FILE, asdict(recipe))


def read_recipe(run: Path) -> TrainingRecipe:
    """Reads a run folder's recipe.

    Raises:
        EdgekdError: The folder is not a run.
        ArtifactError: The recipe is damaged or of another version.
    """
    path = run / RECIPE_FILE
    if not path.is_file():
        raise EdgekdError(f"{run} is not a run folder: it has no {RECIPE_FILE}; make one with 'edgekd train'")
    content = read_json(path)
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} is not a recipe, it holds {kind_of(content)}: train again")
    older: dict[str, Any] = {"resize": AREA}
    recipe = checked(_RECIPE, older | content, path, "train again")
    known_rule(recipe.resize, str(path))
    return recipe


_RECIPE = TypeAdapter(TrainingRecipe)


def held_out_images(recipe: TrainingRecipe) -> list[Path]:
    """The good images that a recipe keeps for the threshold, those that are still there."""
    paths = (Path(recipe.data) / name for name in recipe.held_out)
    return [path for path in paths if path.is_file()]


@dataclass(frozen=True)
class ExportRecipe:
    """How a system leaves torch.

    Attributes:
        opset: Of the ONNX graph.
        operators: Every operator that its fixed-batch FP32 graph may hold.
        variant_operators: What other teachers and settings than the paper's may bring besides.
    """

    opset: int
    operators: frozenset[str]
    variant_operators: frozenset[str]


def read_export_recipe(system: str) -> ExportRecipe:
    """Reads export/SYSTEM.toml."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    with resource("export", f"{system}.toml").open("rb") as file:
        content = tomllib.load(file)
    return ExportRecipe(content["opset"], frozenset(content["operators"]), frozenset(content["variant_operators"]))
