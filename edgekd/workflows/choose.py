"""Chooses a system: tries all of them at several sizes within a time, and names the run to take."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekd.artifact import require_writable
from edgekd.data.image_hashes import hash_images, hashes_digest, named
from edgekd.data.layouts import find_good_images
from edgekd.errors import EdgekdError
from edgekd.preprocessing import size_text
from edgekd.progress import Progress, prefixed, silent
from edgekd.recipe import TIMED
from edgekd.view import LETTERBOX, STRETCH
from edgekd.workflows.calling import takes_options
from edgekd.workflows.candidate_views import preprocessing_for, shape_of, views_for
from edgekd.workflows.candidates import (
    Candidate,
    Trial,
    TrialTask,
    find_candidates,
    replaced_teachers,
    try_candidate,
)
from edgekd.workflows.choose_record import RECORD_FILE, ChooseRecord, open_record
from edgekd.workflows.halving import Round, first_round, next_round, rank
from edgekd.workflows.judge import Judge, judge_teacher, make_judge
from edgekd.workflows.ray_tasks import Workers, check_address, open_workers
from edgekd.workflows.shipping import ship, time_in_int8
from edgekd.workflows.train import TrainOptions, learns_from_anomalies
from edgekd.workflows.training_recipe import settings_of

JUDGE_FOLDER, TIMING_FOLDER = "judge", "timing"
SHIPPING = 0.15  # Of the time: for the export of the run to take, and its teacher's ceiling.
OF_SQUARES = ("symmetries", "turn")  # Ways to augment that take squares alone.

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ChooseOptions:
    """Options of `choose`.

    Attributes:
        data: A folder of good images, or a category of a dataset; at least 40 images.
        ng: A folder of defective images to judge by, all of them; None for synthetic defects in held-out good images.
        latency: Longest latency of a detector that comes into question, in milliseconds from the decoded image to the
            verdict, in INT8 on this machine's processor; None for any.
        minutes: For everything: training, judging, timing and the export of the run to take.
        out: Folder of the runs. What is finished in it is not done again.
        teacher: Teacher of all systems, by name or file; None for each system's own.
        textures: Folder of images that synthetic anomalies take their texture from, for the systems that learn from
            such; None for noise.
        augment: How training images are changed at random: "flip_horizontal", "flip_vertical", "symmetries", "turn" or
            "shift". None for each system's own.
        bit_depth: Bits that images of 16 bits use, 9..16; None for 8-bit images.
        seed: Of the initial weights, the order of images, the choice of those held out, and the synthetic defects.
        device: What trains: "auto" for a GPU where there is one, "cpu", "cuda" or "cuda:1".
        ray: Ray that runs the trainings side by side: "local" for this machine, "auto" for the cluster that it belongs
            to, or a cluster's "HOST:PORT"; `out` must be on storage that all of its machines see. None for one after
            the other, without Ray.
        html: File for a report with a chart; None for none.
        progress: Called while it works.
    """

    data: str | Path
    ng: str | Path | None = None
    latency: float | None = None
    minutes: float = 30.0
    out: str | Path = "runs/choose"
    teacher: str | Path | None = None
    textures: str | Path | None = None
    augment: Sequence[str] | None = None
    bit_depth: int | None = None
    seed: int = 0
    device: str = "auto"
    ray: str | None = None
    html: str | Path | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class ChooseResult:
    """What `choose` found.

    Attributes:
        out: The folder of the runs.
        data: That the candidates were trained on.
        take: The run to take; None where no candidate is fast enough.
        shipped: Its INT8 detector: `artifact`, `image_auroc` and `latency_ms`; None without one.
        rows: A row for each candidate, the best first: `system`, `size` (height and width), `teachers`, `view`
            ("stretch", tiles such as "2x2", or empty for letterboxed images), `round`, `run`,
            `minutes`, `iterations`, `image_auroc` and `seconds` of its best training, `macs`, `latency_ms`, the
            `ceiling` of its teacher (None where it was not measured) and whether it would hardly be higher,
            `fast_enough`, `error`. The latency is that of its network with all layers in INT8, or as it ships where
            it was exported.
        judge: `good` and `defective` images that the candidates were judged on, and `defects`: "real" or "synthetic".
        latency_limit_ms: That was asked for; None for none.
        minutes: That were asked for.
        seconds: That it took, in all sessions.
        notes: What else is to be known, in sentences.
        device: The machine that timed the candidates.
    """

    out: Path
    data: Path
    take: Path | None
    shipped: dict[str, Any] | None
    rows: list[dict[str, Any]]
    judge: dict[str, Any]
    latency_limit_ms: float | None
    minutes: float
    seconds: float
    notes: list[str]
    device: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """What `edgekd choose --json` writes."""
        take = None if self.take is None else str(self.take)
        return asdict(self) | {"out": str(self.out), "data": str(self.data), "take": take}


@takes_options(ChooseOptions)
def choose(options: ChooseOptions) -> ChooseResult:
    """Tries the six systems at several sizes within a time, and names the run to take.

    Successive halving: all are trained for a short time, the best third anew for longer, and so on. Each is timed in
    INT8 on this machine, and judged by its image AUROC: held-out good images against real defects where they are given,
    otherwise synthetic ones. The run to take is exported in INT8. The same call continues where an earlier one was
    interrupted.

    Args: the fields of `ChooseOptions`, as keywords.

    Returns:
        The candidates, the best first, and the run to take.

    Raises:
        EdgekdError: The images or an option do not suit, `out` was begun with other options, or every candidate failed.
        MachineError: This machine lacks the device, a package or space on the disk.
        KeyboardInterrupt: Passed on, after saving.

    Example:
        `edgekd.choose(data="images/good", latency=20, minutes=60).take`
    """
    _check(options)
    out = Path(options.out)
    good = find_good_images(Path(options.data))
    images = hashes_digest(hash_images(Path(options.data), named(Path(options.data), good)))
    record = open_record(out, _asked(options), images)
    judge = make_judge(
        Path(options.data),
        None if options.ng is None else Path(options.ng),
        options.seed,
        out / JUDGE_FOLDER,
        options.bit_depth,
    )
    squares = any(name in OF_SQUARES for name in options.augment or ())
    views = views_for(shape_of(good), squares)
    candidates = list(find_candidates(None if options.teacher is None else str(options.teacher), views))
    notes = [] if options.teacher else replaced_teachers(candidates)
    for note in notes:
        logger.info("%s", note)
    logger.info("%d candidates, judged on %s; about %g min in all", len(candidates), judge, options.minutes)
    try:
        with open_workers(options.ray, options.device) as workers:
            trials = _try_all(options, candidates, judge, record, workers)
        trials = _ship_best(trials, judge, record, options)
    except KeyboardInterrupt:
        record.save(out)
        logger.info("what is finished is kept; the same command goes on from here")
        raise
    result = _result(options, trials, judge, record, notes)
    if options.html is not None:
        from edgekd.reports.choose_html import write_choose_report

        write_choose_report(Path(options.html), result.to_dict())
        logger.info("wrote %s", options.html)
    return result


def _check(options: ChooseOptions) -> None:
    """Refuses, before minutes of training, what could not be done or written afterwards."""
    from edgekd.metrics.auroc import scikit_learn_metrics
    from edgekd.training.device import choose_device

    for name, value in (("minutes", options.minutes), ("latency", options.latency)):
        if value is not None and not 0 < value < math.inf:
            raise EdgekdError(f"{name} must be a positive number, got {value}")
    scikit_learn_metrics()  # Where it is missing, that is reported before the work.
    check_address(options.ray)
    if options.ray is None:
        choose_device(options.device)
    require_writable(Path(options.out) / RECORD_FILE)
    require_writable(None if options.html is None else Path(options.html))


def _asked(options: ChooseOptions) -> dict[str, Any]:
    """The options that decide what is tried and how it is judged, as in JSON."""
    folders = {name: getattr(options, name) for name in ("data", "ng", "textures")}
    resolved = {name: None if path is None else str(Path(path).resolve()) for name, path in folders.items()}
    teacher = None if options.teacher is None else str(options.teacher)
    return resolved | {
        "teacher": teacher,
        "augment": None if options.augment is None else " ".join(options.augment),
        "bit_depth": options.bit_depth,
        "seed": options.seed,
        "latency": options.latency,
        "minutes": options.minutes,
    }


def _try_all(
    options: ChooseOptions, candidates: Sequence[Candidate], judge: Judge, record: ChooseRecord, workers: Workers
) -> list[Trial]:
    """All rounds, those included that were done before; what each trial found."""
    out, trials, number = Path(options.out), list[Trial](), 1
    seconds = 60 * options.minutes * (1 - SHIPPING)
    plan: Round | None = first_round(candidates, seconds - record.spent, workers.at_once)
    while True:
        if len(record.rounds) < number:
            if plan is None:
                break
            record.rounds.append(plan)
            record.save(out)
        plan = record.rounds[number - 1]
        found = _try_round(options, number, plan, judge, record, workers)
        found = _time(found, judge, record, options)
        trials += found
        ranked = rank(found, record.latency_ms, options.latency)
        number += 1
        plan = next_round(number, plan, ranked, seconds - record.spent, workers.at_once)
    if all(trial.error for trial in trials):
        raise EdgekdError(f"every candidate failed, {trials[0].candidate.name} with: {trials[0].error}")
    return trials


def _try_round(
    options: ChooseOptions, number: int, plan: Round, judge: Judge, record: ChooseRecord, workers: Workers
) -> list[Trial]:
    count = len(plan.candidates)
    what = plan.candidates[0].name if count == 1 else f"{count} candidates, each"
    logger.info("round %d: %s trained for %.2g min", number, what, plan.minutes)
    tasks = [TrialTask(each, number, _training(options, number, each, plan.minutes), judge) for each in plan.candidates]
    trials: dict[int, Trial] = {}
    for index, trial in workers.run(try_candidate, tasks, options.progress):
        trials[index] = trial
        outcome = trial.error or f"image AUROC {trial.image_auroc:.3f}"
        logger.info("%s: %s (%d of %d)", trial.candidate.name, outcome, len(trials), len(tasks))
        record.save(Path(options.out))
    return [trials[index] for index in sorted(trials)]


def _training(options: ChooseOptions, number: int, candidate: Candidate, minutes: float) -> TrainOptions:
    from edgekd.models.registry import find_system

    settings = settings_of(find_system(candidate.system), {}, TIMED)
    textured = options.textures is not None and learns_from_anomalies(candidate.system, settings)
    return TrainOptions(
        candidate.system,
        data=options.data,
        run=Path(options.out) / f"round{number}" / candidate.name,
        minutes=minutes,
        size=candidate.size,
        fit=STRETCH if candidate.view == STRETCH else LETTERBOX,
        tiles=None if candidate.view in ("", STRETCH) else candidate.view,
        seed=options.seed,
        teacher=candidate.teachers,
        textures=options.textures if textured else None,
        augment=options.augment,
        bit_depth=options.bit_depth,
        device=options.device,
        ceiling=False,  # Measured once for each teacher and size.
    )


def _time(trials: Sequence[Trial], judge: Judge, record: ChooseRecord, options: ChooseOptions) -> list[Trial]:
    """Times each system and size once: how long it was trained does not change its latency. The trials, with errors."""
    out, timed = Path(options.out), list[Trial]()
    for trial in trials:
        name = trial.candidate.name
        if trial.error is None and name not in record.latency_ms:
            artifact = out / TIMING_FOLDER / f"{name}.onnx"
            progress = prefixed(f"timing {name}", options.progress)
            try:
                record.latency_ms[name], record.macs[name] = time_in_int8(
                    Path(trial.run), artifact, judge.good, progress
                )
            except EdgekdError as error:
                trial = replace(trial, error=str(error))
            else:
                logger.info("%s: %.1f ms an image in INT8", name, record.latency_ms[name])
            record.save(out)
        timed.append(trial)
    return timed


def _ship_best(trials: list[Trial], judge: Judge, record: ChooseRecord, options: ChooseOptions) -> list[Trial]:
    """Exports the run to take as it ships; where that is too slow, or cannot be, the next best one. The trials."""
    out = Path(options.out)
    while ranked := rank(trials, record.latency_ms, options.latency):
        best = ranked[0]
        if best.run in record.shipped:
            _measure_ceiling(best.candidate, options, judge, record)
            break
        logger.info("exporting %s in INT8, as it ships", best.candidate.name)
        try:
            shipped = ship(Path(best.run), judge, prefixed(best.candidate.name, options.progress))
        except EdgekdError as error:
            trials = [replace(each, error=str(error)) if each is best else each for each in trials]
            continue
        record.shipped[best.run] = shipped
        record.latency_ms[best.candidate.name] = shipped.latency_ms
        record.save(out)
    record.save(out)
    return trials


def _measure_ceiling(candidate: Candidate, options: ChooseOptions, judge: Judge, record: ChooseRecord) -> None:
    """Measures the ceiling of a candidate's teachers at its size, once."""
    for teacher in candidate.teachers:
        key = _ceiling_key(teacher, candidate)
        if key not in record.ceilings:
            progress = prefixed(f"ceiling of {teacher}", options.progress)
            preprocessing = preprocessing_for(candidate.size, candidate.view)
            preprocessing = replace(preprocessing, bit_depth=options.bit_depth)
            ceiling = judge_teacher(teacher, preprocessing, Path(options.data), judge, options.seed, progress)
            record.ceilings[key] = (ceiling.image_auroc, ceiling.stands_still)
            record.save(Path(options.out))


def _ceiling_key(teacher: str, candidate: Candidate) -> str:
    return f"{teacher} {size_text(candidate.size)} {candidate.view}".rstrip()


def _result(
    options: ChooseOptions, trials: Sequence[Trial], judge: Judge, record: ChooseRecord, notes: list[str]
) -> ChooseResult:
    from edgekd.engines.cores import usable_cores
    from edgekd.profiling.timing import device_record

    fast = rank(trials, record.latency_ms, options.latency)
    shipped = record.shipped.get(fast[0].run) if fast else None
    rest = [trial for trial in rank(trials, record.latency_ms, None) if trial not in fast]
    best: dict[str, Trial] = {}
    for trial in [*fast, *rest, *(trial for trial in trials if trial.error is not None)]:
        best.setdefault(trial.candidate.name, trial)
    return ChooseResult(
        out=Path(options.out),
        data=Path(options.data),
        take=Path(fast[0].run) if fast else None,
        shipped=None if shipped is None else shipped._asdict(),
        rows=[_row(trial, record, trial in fast) for trial in best.values()],
        judge={"good": len(judge.good), "defective": len(judge.defective), "defects": judge.defects},
        latency_limit_ms=options.latency,
        minutes=options.minutes,
        seconds=record.spent,
        notes=notes,
        device=device_record(usable_cores()),
    )


def _row(trial: Trial, record: ChooseRecord, fast_enough: bool) -> dict[str, Any]:
    """A trial with its candidate's latency, and with the ceiling: of several teachers the highest."""
    keys = [_ceiling_key(teacher, trial.candidate) for teacher in trial.teachers]
    known = [record.ceilings[key] for key in keys if key in record.ceilings]
    ceiling, stands_still = max(known) if len(known) == len(keys) else (None, None)
    return asdict(trial) | {
        "teachers": list(trial.teachers),
        "size": list(trial.size),
        "macs": record.macs.get(trial.candidate.name),
        "latency_ms": record.latency_ms.get(trial.candidate.name),
        "ceiling": ceiling,
        "ceiling_stands_still": stands_still,
        "fast_enough": fast_enough,
    }
