"""What `choose` tries: systems at several image sizes; and a trial of one of them: training, and its image AUROC."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from edgekd.artifact import write_json
from edgekd.errors import ArtifactError, EdgekdError, MachineError
from edgekd.json_files import read_object
from edgekd.preprocessing import Size, parse_size, size_text
from edgekd.progress import Progress, prefixed
from edgekd.recipe import read_recipe
from edgekd.run_folder import TRIAL_FILE
from edgekd.workflows.candidate_views import SQUARES, SizeAndView, preprocessing_for
from edgekd.workflows.finishing import finish_training
from edgekd.workflows.judge import Judge, judge_run
from edgekd.workflows.train import TrainOptions


class Candidate(NamedTuple):
    """A system at an image size, and how images are brought to it.

    Attributes:
        system: Its name.
        size: Height and width of the images, in pixels.
        teachers: By name, or by file.
        view: "stretch", or tiles as ROWSxCOLUMNS; empty for letterboxed images.
    """

    system: str
    size: Size
    teachers: tuple[str, ...]
    view: str = ""

    @property
    def name(self) -> str:
        """Such as "hkt_128", "hkt_128x320" or "hkt_256_2x2", also of its folder."""
        return "_".join([self.system, size_text(self.size), *([self.view] if self.view else [])])

    @property
    def pixels(self) -> int:
        """That the network reads of an image, in all tiles."""
        return math.prod(self.size) * preprocessing_for(self.size, self.view).tiles


@dataclass(frozen=True)
class Trial:
    """A candidate that was trained and judged.

    Attributes:
        system, size, teachers, view: Of the candidate.
        round: In which it was trained, from 1 on.
        run: Its run folder.
        minutes: Given to its training.
        iterations: Of its training; None where it failed, as what follows.
        image_auroc: Of the trained network.
        seconds: Of training and judging.
        error: Why it failed; None where it did not.
    """

    system: str
    size: Size
    teachers: tuple[str, ...]
    view: str
    round: int
    run: str
    minutes: float
    iterations: int | None = None
    image_auroc: float | None = None
    seconds: float = 0.0
    error: str | None = None

    @property
    def candidate(self) -> Candidate:
        """What was tried."""
        return Candidate(self.system, self.size, self.teachers, self.view)


class TrialTask(NamedTuple):
    """All that a trial needs.

    Attributes:
        candidate: To try.
        round: In which it is trained.
        training: Of its run.
        judge: What it is judged on.
    """

    candidate: Candidate
    round: int
    training: TrainOptions
    judge: Judge


def find_candidates(teacher: str | None, views: Sequence[SizeAndView] = SQUARES) -> Iterator[Candidate]:
    """Each system at each size that it takes, the small sizes first.

    Args:
        teacher: Of all; None for each system's own, or where these are not here, for one that comes as a package.
        views: Sizes, and how images are brought to them, as `views_for` finds them.
    """
    import torch

    from edgekd.models.registry import SYSTEMS

    for size, view in views:
        for system in SYSTEMS.values():
            with torch.device("meta"):
                legal_near = system.detector(size).legal_sizes_near
            if all(legal_near(side) == (side,) for side in size):
                yield Candidate(system.name, size, (teacher,) if teacher else _teachers_here(system.teachers), view)


def replaced_teachers(candidates: list[Candidate]) -> list[str]:
    """What is to be said of systems that are not tried with their own teachers, a sentence for each.

    Args:
        candidates: Of `find_candidates`, without a given teacher.
    """
    from edgekd.models.registry import SYSTEMS

    notes = []
    for system, teachers in {each.system: each.teachers for each in candidates}.items():
        own = SYSTEMS[system].teachers
        if teachers != own:
            fetch = "; ".join(f"edgekd teachers fetch {name}" for name in own)
            notes.append(f"{system} is tried with {' + '.join(teachers)}: {' + '.join(own)} is not here ({fetch})")
    return notes


def _teachers_here(names: tuple[str, ...]) -> tuple[str, ...]:
    from edgekd.models.registry import LIGHT_TEACHER
    from edgekd.training.teachers.catalogue import find_entry
    from edgekd.training.teachers.files import is_here

    return names if all(is_here(find_entry(name)) for name in names) else (LIGHT_TEACHER,)


def try_candidate(task: TrialTask, progress: Progress) -> Trial:
    """Trains and judges a candidate, as far as that is not done. One that fails is a trial with its error.

    Args:
        task: The trial.
        progress: Called while it works.

    Raises:
        MachineError: The machine lacks something that every candidate needs.
    """
    run, start = Path(task.training.run), time.monotonic()
    if (run / TRIAL_FILE).exists():
        return read_trial(run)
    progress = prefixed(f"{task.candidate.name}, round {task.round}", progress)
    found: dict[str, object]
    try:
        finish_training(task.training, progress)
        auroc = judge_run(run, task.judge, task.training.device, progress)
        found = {"image_auroc": auroc, "iterations": read_recipe(run).iterations}
    except MachineError:
        raise
    except EdgekdError as error:
        found = {"error": str(error)}
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        found = {"error": "the GPU's memory is too small for it"}
    minutes = task.training.minutes
    assert minutes is not None
    seconds = time.monotonic() - start
    trial = Trial(*task.candidate, task.round, str(run), minutes, seconds=seconds, **found)  # type: ignore[arg-type]
    write_json(run / TRIAL_FILE, asdict(trial))
    return trial


def read_trial(run: Path) -> Trial:
    """Reads a trial that `try_candidate` finished.

    Raises:
        ArtifactError: Its file is damaged.
    """
    content = {"view": ""} | read_object(run / TRIAL_FILE)
    try:
        known = {each.name: content[each.name] for each in fields(Trial)} | {"run": str(run)}  # It may have been moved.
        return Trial(**known | {"size": parse_size(content["size"]), "teachers": tuple(content["teachers"])})
    except (KeyError, TypeError, EdgekdError) as error:
        raise ArtifactError(f"{run / TRIAL_FILE} is not a trial that this version reads: delete {run}") from error
