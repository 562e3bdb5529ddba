"""Recipes: how a run is trained, kept in its folder, and what a system's graph may hold, kept in export/."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from edgekd.artifact import read_json, write_json
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.preprocessing import Preprocessing, Size, known_bit_depth, parse_size
from edgekd.resize_rules import AREA, CURRENT_RESIZE_RULE, known_rule
from edgekd.resources import resource
from edgekd.run_folder import RECIPE_FILE
from edgekd.view import WHOLE, View, read_view

Schedule = Literal["constant", "step", "cosine"]
Preset = Literal["timed", "paper"]
Augmentation = Literal["flip_horizontal", "flip_vertical", "symmetries", "turn"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)
TIMED, PAPER = "timed", "paper"
RANDOM, FROM_IMAGES = "random", "images"  # Initialisations.


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
            turns) or "turn" (any angle); empty for as they are.
        view: What of an image is looked at, and how; runs of before there were views stretch whole images.
        images: The SHA-256 of each image that is trained on or held out, by its path relative to `data`; empty in runs
            of before this was kept.
        data_changes: When images changed and the run went on with them: `date`, `iterations` done by then, the names
            that were `added`, `removed` and `changed`, and `images_before`, the SHA-256 over the hashes until then.
    """

    system: str
    data: str
    teachers: dict[str, str]
    iterations: int
    size: Size = (256, 256)
    batch: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    schedule: str = "constant"
    seed: int = 0
    held_out: tuple[str, ...] = ()
    mixed_precision: bool = False
    textures: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    quantization_aware_from: int | None = None
    resize: str = CURRENT_RESIZE_RULE
    preset: str = PAPER
    minutes: float | None = None
    optimizer: str = ""
    warm_up: float = 0.0
    initialisation: str = RANDOM
    held_out_share: float | None = None
    trained_images: int = 0
    texture_images: int = 0
    augment: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    view: View = WHOLE
    bit_depth: int | None = None
    images: dict[str, str] = field(default_factory=dict)
    data_changes: tuple[dict[str, Any], ...] = ()

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
    if not (run / RECIPE_FILE).is_file():
        raise EdgekdError(f"{run} is not a run folder: it has no {RECIPE_FILE}; make one with 'edgekd train'")
    content = read_json(run / RECIPE_FILE)
    names = {entry.name for entry in fields(TrainingRecipe)}
    if not isinstance(content, dict) or not content.keys() <= names:
        raise ArtifactError(f"{run / RECIPE_FILE} is not a recipe that this version of edgekd reads: train again")
    older: dict[str, Any] = {"resize": AREA}
    try:
        lists = {name: tuple(content.get(name, ())) for name in ("held_out", "augment", "left_out", "data_changes")}
        view = read_view(content.get("view"), str(run / RECIPE_FILE))
        recipe = TrainingRecipe(**older | content | lists | {"view": view})
    except (TypeError, EdgekdError) as error:
        raise ArtifactError(f"{run / RECIPE_FILE} is incomplete ({error}): train again") from error
    known_rule(recipe.resize, str(run / RECIPE_FILE))
    known_bit_depth(recipe.bit_depth, str(run / RECIPE_FILE))
    return recipe


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
