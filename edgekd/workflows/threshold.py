"""`edgekd threshold`: what each limit on the score promises, from good images, and setting one."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.artifact import Manifest, find_artifact, read_manifest, require_current, sha256, write_manifest
from edgekd.engines import Engine, open_engine
from edgekd.errors import EdgekdError
from edgekd.progress import Progress, silent
from edgekd.run_folder import RECIPE_FILE
from edgekd.verdicts.false_rejects import share_bound
from edgekd.verdicts.good_scores import Scores, quantiles_of
from edgekd.verdicts.promise import promise_of, warnings_of
from edgekd.verdicts.threshold import FEWEST_IMAGES, Threshold, history_with, threshold_from_good
from edgekd.verdicts.warning_signs import folders_swapped, learned_by_heart, synthetic_overlap
from edgekd.workflows.calling import takes_options
from edgekd.workflows.scoring import GoodImages, good_images_of, measure_images, names_below, synthetic_scores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ThresholdOptions:
    """Options of `threshold`.

    Attributes:
        what: An .onnx or .engine artifact, or a run that was exported.
        good: Folder of good images that the detector has not seen, such as fresh ones of the line; None for those that
            the run held out.
        ng: Folder of defective images, to measure how many each limit misses; None for none.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5.
        html: File for a report; None for none.
        write: Whether to put the threshold into the artifact's manifest, in place of the one that is there.
        progress: Called after each image.
    """

    what: str | Path
    good: str | Path | None = None
    ng: str | Path | None = None
    false_reject_rate: float = 0.01
    html: str | Path | None = None
    write: bool = False
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class ThresholdResult:
    """What `threshold` found.

    Attributes:
        artifact: Whose scores these are.
        threshold: The entry of a manifest: `value`, what was asked for and is expected (`false_reject_rate`,
            `expected`, `bound`), and what that rests on.
        promise: The same in a sentence.
        warnings: What must be known before relying on it, a sentence each.
        limits: By the rate that was asked for: `value`, `expected`, `bound`; `rejected` of the `good` unseen images;
            with defective ones `missed` and `missed_bound`, the share that is not exceeded with a confidence of 95 %.
        before: The same of the threshold that the manifest held; None where it held none.
        good, trained, ng: Images: good ones that the detector has not seen, good ones that it was trained on, defective
            ones.
        written: Whether the manifest holds the threshold now.
    """

    artifact: Path
    threshold: dict[str, Any]
    promise: str
    warnings: list[str]
    limits: list[dict[str, Any]]
    before: dict[str, Any] | None
    good: int
    trained: int
    ng: int
    written: bool

    def to_dict(self) -> dict[str, Any]:
        """The content of `threshold --json`."""
        return asdict(self) | {"artifact": str(self.artifact)}


@takes_options(ThresholdOptions)
def threshold(options: ThresholdOptions) -> ThresholdResult:
    """Chooses a threshold from good images, and counts what each limit promises, rejects and misses.

    Args: the fields of `ThresholdOptions`, as keywords.

    Returns:
        The threshold and a table of limits.

    Raises:
        EdgekdError: The images do not suit, or the detector was trained on those that should be new to it.
        ArtifactError: The artifact is damaged, or of an earlier training of its run.
        MachineError: The back end is not installed.

    Example:
        `edgekd.threshold("runs/part", good="images/fresh", ng="images/bad", write=True).promise`
    """
    from edgekd.data.images import list_images
    from edgekd.reports.page import require_report
    from edgekd.workflows.judge import require_defective

    artifact = find_artifact(Path(options.what))
    manifest = read_manifest(artifact)
    html = require_report(options.html, artifact)
    images = _good_images(options, artifact, manifest)
    _require_enough(images.held_out, options)
    if options.ng is not None:
        require_defective(Path(options.ng))
    defective = [] if options.ng is None else list_images(Path(options.ng))
    _refuse_both(images.paths, defective)
    with open_engine(artifact) as engine:
        scores = np.array(_scores(engine, images.paths, "good", options.progress))
        bad = np.array(_scores(engine, defective, "defective", options.progress))
        synthetic = synthetic_scores(engine, images.held_out, 0, options.progress)
    unseen, trained = scores[: len(images.held_out)], scores[len(images.held_out) :]
    chosen = threshold_from_good(unseen, options.false_reject_rate, trained, images.names)
    signs = (folders_swapped(unseen, bad), learned_by_heart(unseen, trained), synthetic_overlap(unseen, synthetic))
    chosen = replace(chosen, origin=_origin(chosen, options), warnings=tuple(sign for sign in signs if sign))
    old = manifest.get("threshold")
    entry = replace(chosen, history=history_with(old)).to_dict()
    result = ThresholdResult(
        artifact=artifact,
        threshold=entry,
        promise=promise_of(entry),
        warnings=warnings_of(entry),
        limits=[_counted(asdict(limit), unseen, bad) for limit in chosen.limits],
        before=None if old is None else _counted(old, unseen, bad),
        good=unseen.size,
        trained=trained.size,
        ng=bad.size,
        written=options.write,
    )
    if options.write:
        write_manifest(artifact, manifest | {"threshold": entry, "good_scores": quantiles_of(unseen)})
        logger.info("wrote the threshold into the manifest of %s", artifact)
    if html is not None:
        from edgekd.reports.threshold_html import ScoredImage, write_threshold_report

        paths = dict(zip(images.names, images.paths, strict=True))
        suspicious = [ScoredImage(paths[each["name"]], each["name"], each["score"]) for each in chosen.suspicious]
        of_ng = [ScoredImage(path, path.name, float(score)) for path, score in zip(defective, bad, strict=True)]
        missed = sorted((each for each in of_ng if each.score <= chosen.value), key=lambda each: each.score)
        write_threshold_report(html, result.to_dict(), unseen, trained, bad, suspicious, missed)
        logger.info("wrote %s", html)
    return result


def _good_images(options: ThresholdOptions, artifact: Path, manifest: Manifest) -> GoodImages:
    """The fresh images where some are given, else those that the run held out; and those that it was trained on."""
    from edgekd.data.good_images import training_images
    from edgekd.data.image_hashes import require_unchanged_images
    from edgekd.data.layouts import find_good_images
    from edgekd.recipe import read_recipe

    run = artifact.parent
    of_run, known = None, list[Path]()
    if (run / RECIPE_FILE).is_file() and RECIPE_FILE in manifest.get("made_from", {}):
        require_current(artifact, manifest, run)
        recipe = read_recipe(run)
        if options.good is None or Path(recipe.data).is_dir():
            require_unchanged_images(run, recipe)
            of_run, known = good_images_of(recipe), training_images(recipe)
    if options.good is None:
        if of_run is None:
            raise EdgekdError(f"{artifact} lies in no run folder, so its good images are not known: give --good")
        return of_run
    folder = Path(options.good)
    fresh = find_good_images(folder)
    _refuse_known(fresh, known, folder)
    names = names_below(folder, fresh)
    if of_run is None:
        return GoodImages(fresh, [], names)
    of_trained = of_run.names[len(of_run.held_out) :]
    if not set(names).isdisjoint(of_trained):  # 001.png in both folders.
        of_trained = [str(path) for path in of_run.trained]
    return GoodImages(fresh, of_run.trained, [*names, *of_trained])


def _require_enough(unseen: Sequence[Path], options: ThresholdOptions) -> None:
    """Refuses, before minutes of scoring, fewer images than a threshold can be chosen from."""
    if len(unseen) < FEWEST_IMAGES:
        kind = "held-out" if options.good is None else "fresh"
        raise EdgekdError(
            f"a threshold needs at least {FEWEST_IMAGES} {kind} good images, got {len(unseen)}: give more with --good"
        )


def _refuse_known(fresh: Sequence[Path], trained: Sequence[Path], folder: Path) -> None:
    """Refuses images that the detector was trained on: their scores tell nothing about new ones."""
    sizes = {path.stat().st_size for path in trained}
    same_size = {path for path in fresh if path.stat().st_size in sizes}
    known = {sha256(path) for path in trained} if same_size else set()
    count = sum(sha256(path) in known for path in same_size)
    if count:
        raise EdgekdError(
            f"the detector was trained on {count} of the {len(fresh)} images in {folder}: give good images that it has "
            "not seen"
        )


def _refuse_both(good: Sequence[Path], defective: Sequence[Path]) -> None:
    """Refuses images that are given as good and as defective."""
    both = {path.resolve() for path in good} & {path.resolve() for path in defective}
    if both:
        raise EdgekdError(f"{len(both)} images are given as good and as defective, the first is {min(both)}")


def _scores(engine: Engine, paths: Sequence[Path], kind: str, progress: Progress) -> list[float]:
    return measure_images(engine, paths, f"scoring {len(paths)} {kind} images", progress).scores


def _origin(chosen: Threshold, options: ThresholdOptions) -> str:
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    origin = chosen.origin
    if options.good is not None:
        origin = origin.replace("held-out", "fresh").replace("held out", "fresh")
        origin += f"; fresh images: {Path(options.good).name}"
    return f"{origin}; set on {today}"


def _counted(limit: dict[str, Any], good: Scores, bad: Scores) -> dict[str, Any]:
    """A limit with how many of the images it rejects and misses."""
    value = limit["value"]
    row = {name: limit.get(name) for name in ("false_reject_rate", "value", "expected", "bound")}
    row |= {"good": good.size, "rejected": int(np.count_nonzero(good > value))}
    if bad.size:
        missed = int(np.count_nonzero(bad <= value))
        row |= {"ng": bad.size, "missed": missed, "missed_bound": share_bound(missed, bad.size)}
    return row
