"""The runs of a benchmark: a training for each category and system, all checked before the first begins."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import EdgekdError
from edgekd.run_folder import RECIPE_FILE
from edgekd.workflows.settings import checked_settings
from edgekd.workflows.train import TrainOptions, check_training, learns_from_anomalies, require_same_recipe
from edgekd.workflows.training_recipe import settings_of

if TYPE_CHECKING:
    from edgekd.workflows.benchmark import BenchmarkOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkRun:
    """A system on a category.

    Attributes:
        training: How it is trained, with its data and its folder.
        folder: Of the run.
        category: That it is trained and tested on.
        place: Where it is among the others, for whoever waits.
    """

    training: TrainOptions
    folder: Path
    category: Path
    place: str

    @property
    def name(self) -> str:
        """Its category and its system."""
        return f"{self.category.resolve().name}, {self.training.system}"

    def log(self, step: str) -> None:
        """Logs that a step of the run begins."""
        logger.info("%s: %s (%s)", self.name, step, self.place)


def planned_runs(options: BenchmarkOptions) -> list[BenchmarkRun]:
    """A run for each category and system, those that exist already included.

    Args:
        options: Of `benchmark`.

    Raises:
        EdgekdError, MachineError: What a training would refuse, for every run that is new; what contradicts the recipe
            of those that exist.
    """
    from edgekd.data.dataset import find_categories

    categories = find_categories(Path(options.data), options.categories)
    trainings = _trainings(options)
    runs = [
        _run(
            options,
            training,
            category,
            f"{number} of {len(categories)} categories, {place} of {len(trainings)} systems",
        )
        for number, category in enumerate(categories, 1)
        for place, training in enumerate(trainings, 1)
    ]
    for run in runs:
        require_same_recipe(run.training)
        if not (run.folder / RECIPE_FILE).exists():
            check_training(run.training)
    return runs


def _run(options: BenchmarkOptions, training: TrainOptions, category: Path, place: str) -> BenchmarkRun:
    folder = Path(options.out) / category.resolve().name / training.system
    return BenchmarkRun(replace(training, data=category, run=folder), folder, category, place)


def _trainings(options: BenchmarkOptions) -> list[TrainOptions]:
    """Each system's training, without its data and its folder; what is for other systems is left out."""
    from edgekd.models.registry import find_system

    names = [options.systems] if isinstance(options.systems, str) else options.systems
    systems = [find_system(name) for name in dict.fromkeys(names)]
    settings = {system.name: checked_settings(system, options.settings) for system in systems}
    teachers, textures = _teachers(options, list(settings)), _textures(options, settings)
    return [
        TrainOptions(
            name,
            run="",
            minutes=options.minutes,
            iterations=options.iterations,
            preset=options.preset,
            size=options.size,
            batch=options.batch,
            learning_rate=options.learning_rate,
            schedule=options.schedule,
            seed=options.seed,
            teacher=teachers.get(name),
            textures=textures.get(name),
            augment=options.augment,
            bit_depth=options.bit_depth,
            settings=of_system,
            quantization_aware=options.quantization_aware,
            device=options.device,
        )
        for name, of_system in settings.items()
    ]


def _teachers(options: BenchmarkOptions, systems: Sequence[str]) -> Mapping[str, Any]:
    """The teachers of each system that is given some."""
    if not isinstance(options.teacher, Mapping):
        return {} if options.teacher is None else dict.fromkeys(systems, options.teacher)
    for name in options.teacher:
        if name not in systems:
            raise EdgekdError(f"a teacher is given for {name}, which is not benchmarked, only {', '.join(systems)}")
    return options.teacher


def _textures(options: BenchmarkOptions, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str | Path]:
    """The folder of textures, for each system that learns from synthetic anomalies."""
    from edgekd.models.registry import find_system

    if options.textures is None:
        return {}
    whole = {name: settings_of(find_system(name), given, options.preset) for name, given in settings.items()}
    learning = [name for name, of_system in whole.items() if learns_from_anomalies(name, of_system)]
    if not learning:
        raise EdgekdError(
            f"--textures is for synthetic anomalies, and none of {', '.join(settings)} learns from them: leave it out"
        )
    return dict.fromkeys(learning, options.textures)
