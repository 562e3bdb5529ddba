"""Making a recipe from an exported run: the detector, and references of the run's own images with what it answers."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import find_artifact, manifest_path, read_manifest, signature_path
from edgekd.backends import ON_CPU
from edgekd.errors import EdgekdError
from edgekd.progress import Progress, silent
from edgekd.run_folder import RECIPE_FILE as TRAINING_RECIPE_FILE
from edgekd.station.recipe_release import new_revision
from edgekd.station.recipe_store import RECIPE_FILE, read_recipe, revisions_in
from edgekd.station.recipes import NAME, Recipe, Trigger
from edgekd.typed import checked
from edgekd.workflows.calling import takes_options

if TYPE_CHECKING:
    from edgekd.result import AnomalyResult
    from edgekd.runner import Inspector

REFERENCES = 3  # Of each verdict.
MOST_SCORED = 60  # Images that references are chosen from.
LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
# A reference must score within this share of the way from a typical good image to the threshold, or to its own score
# where that is farther. Back ends differ by far less; what people would call another image differs by more.
BAND = 0.05
BACKENDS_APART = 4  # Times what the back ends on the CPU differ by, where that is more.
CLEARLY = 0.1  # Of that way: references keep away from the threshold, so that no rounding changes a verdict.


@dataclass(frozen=True)
class RecipeOptions:
    """What `make_recipe` needs to know.

    Attributes:
        what: An .onnx or .engine artifact, or a run that was exported.
        recipes: The folder of recipes.
        id: Name of the recipe; where it exists already, its next revision is made.
        job: What the PLC asks for.
        cameras: Names of the station's cameras that see the part.
        trigger: How these cameras are triggered; a USB camera or a stream has free_run alone.
        product: In words.
        good: Folder of good images to take references from; None for those that the run held out.
        ng: Folder of defective images to take references from; None for none.
        deadline_ms: From trigger to answer.
        progress: Called after each image.
    """

    what: str | Path
    recipes: Path
    id: str
    job: int
    cameras: Sequence[str] = ("camera",)
    trigger: Trigger = "software"
    product: str = ""
    good: Path | None = None
    ng: Path | None = None
    deadline_ms: float = 500
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class _Scored:
    """A reference image as the detector saw it."""

    image: Path
    result: AnomalyResult


@takes_options(RecipeOptions)
def make_recipe(options: RecipeOptions) -> Path:
    """Makes a draft: the artifact with its manifest, and references whose verdicts and scores were measured.

    Args: the fields of `RecipeOptions`, as keywords.

    Returns:
        The draft's folder, ready to be edited and released.

    Raises:
        EdgekdError: There is no image to take, the detector judges none of them as it must, or a name is wrong.
        ArtifactError: The artifact is damaged, or holds no threshold.
    """
    from edgekd.runner import Inspector

    if not NAME.fullmatch(options.id):
        raise EdgekdError(f"'{options.id}' cannot name a recipe: use letters, digits, '_', '-' and '.'")
    artifact = find_artifact(Path(options.what))
    manifest = read_manifest(artifact)
    with Inspector(artifact) as inspector:
        chosen = [*_chosen(inspector, _good_images(options, artifact), "OK", options.progress)]
        if options.ng is not None:
            from edgekd.data.images import list_images

            chosen += _chosen(inspector, list_images(options.ng), "NG", options.progress)
    folder = options.recipes / options.id / str(_next_number(options))
    with new_revision(folder) as part:
        for path in (artifact, manifest_path(artifact), signature_path(artifact)):
            if path.exists():
                shutil.copyfile(path, part / path.name)
        images = _copy(chosen, part, manifest.get("bit_depth"))
        content = _content(options, int(folder.name), artifact.name, _references(part, artifact.name, images))
        (part / RECIPE_FILE).write_text(_text(content), encoding="utf-8")
    read_recipe(folder)
    return folder


def _next_number(options: RecipeOptions) -> int:
    options.recipes.mkdir(parents=True, exist_ok=True)
    return 1 + max((int(each.name) for each in revisions_in(options.recipes, options.id)), default=0)


def _good_images(options: RecipeOptions, artifact: Path) -> list[Path]:
    """Good images that the detector was not trained on, where there are some."""
    from edgekd.data.images import list_images

    if options.good is not None:
        return list_images(options.good)
    run = artifact.parent
    if (run / TRAINING_RECIPE_FILE).is_file():
        from edgekd.data.good_images import training_images
        from edgekd.recipe import held_out_images
        from edgekd.recipe import read_recipe as read_training_recipe

        recipe = read_training_recipe(run)
        if Path(recipe.data).is_dir():
            return held_out_images(recipe) or training_images(recipe)
    raise EdgekdError(f"the good images of {artifact} are not here: name a folder of good images of this product")


def _chosen(inspector: Inspector, images: Sequence[Path], verdict: str, progress: Progress) -> Iterator[_Scored]:
    """References among images: spread over those that the detector clearly judges as it must."""
    step = max(1, len(images) // MOST_SCORED)
    candidates = images[::step][:MOST_SCORED]
    fitting = []
    for count, image in enumerate(candidates, start=1):
        result = inspector(image)
        if result.verdict.value == verdict and abs(result.score - inspector.threshold) > CLEARLY * _way(inspector):
            fitting.append(_Scored(image, result))
        progress(f"references that are {verdict}", count, len(candidates))
    if not fitting:
        raise EdgekdError(
            f"of {len(candidates)} images around {candidates[0].parent} the detector calls none clearly {verdict}: "
            "name a folder of others, or set its threshold with 'edgekd threshold'"
        )
    fitting.sort(key=lambda each: each.result.score)
    last = len(fitting) - 1
    places = {round(last * share / max(1, REFERENCES - 1)) for share in range(REFERENCES)}
    yield from (fitting[place] for place in sorted(places))


def _way(inspector: Inspector) -> float:
    """From the score of a typical good image to the threshold, the length that severity is measured in."""
    way = inspector.threshold - inspector.limits.median_good
    return way if math.isfinite(way) and way > 0 else abs(inspector.threshold)


def _copy(chosen: Sequence[_Scored], part: Path, bit_depth: int | None) -> list[tuple[str, str]]:
    """Puts references beside the recipe without loss.

    Returns:
        The path of each in the folder, and its verdict.
    """
    import cv2

    from edgekd.data.images import read_image

    (part / "references").mkdir()
    names = []
    for number, each in enumerate(chosen, start=1):
        suffix = each.image.suffix.lower()
        name = f"references/{each.result.verdict.value.lower()}_{number}{suffix if suffix in LOSSLESS else '.png'}"
        if suffix in LOSSLESS:  # Of 16 bits, too.
            shutil.copyfile(each.image, part / name)
        elif not cv2.imwrite(str(part / name), read_image(each.image, bit_depth)):
            raise EdgekdError(f"cannot write {part / name}")
        names.append((name, each.result.verdict.value))
    return names


def _references(part: Path, artifact: str, images: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """What the self-test expects: measured with the recipe's own files, on every back end that runs everywhere."""
    from edgekd.runner import Inspector

    backends = ON_CPU if artifact.endswith(".onnx") else (None,)
    scores: dict[str, list[float]] = {name: [] for name, _ in images}
    way = median = math.nan
    for backend in backends:
        with Inspector(part / artifact, backend=backend) as inspector:
            way, median = _way(inspector), inspector.limits.median_good
            for name, verdict in images:
                result = inspector(part / name)
                if result.verdict.value != verdict:
                    raise EdgekdError(f"the detector calls {name} {result.verdict.value} on {backend}, not {verdict}")
                scores[name].append(result.score)
    entries = []
    for name, verdict in images:
        lowest, highest = min(scores[name]), max(scores[name])
        own = abs(highest - median) if math.isfinite(median) else abs(highest)
        half = max(BAND * max(way, own), BACKENDS_APART * (highest - lowest))
        band = {"lowest": float(f"{lowest - half:.6g}"), "highest": float(f"{highest + half:.6g}")}
        entries.append({"image": name, "verdict": verdict} | band)
    return entries


def _content(
    options: RecipeOptions, revision: int, artifact: str, references: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    from pydantic import TypeAdapter

    content = {
        "id": options.id,
        "job": options.job,
        "revision": revision,
        "product": options.product,
        "status": "draft",
        "deadline_ms": options.deadline_ms,
        "detector": {"artifact": artifact},
        "cameras": {name: {"trigger": options.trigger, "timeout_ms": 300.0} for name in options.cameras},
        "self_tests": {"every_hours": 24.0, "references": list(map(dict, references))},
        "stop": {"ng_in_a_row": 0, "errors_in_a_row": 3},
        "keep": {"ok_every": 100, "ok_first": 20},
    }
    in_memory = content | {"self_tests": {"every_hours": 24.0, "references": tuple(references)}}
    checked(TypeAdapter(Recipe), in_memory, f"recipe {options.id}", "give another")
    return content


def _text(content: Mapping[str, Any]) -> str:
    """The recipe as a person edits it."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("A draft: edit it, then release it; docs/station/recipes.md explains every field."))
    document.update(content)
    return tomlkit.dumps(document)
