"""Recipes that are ready to judge: checked, their engine open and warm, one engine for all that share a detector."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from edgekd.artifact import Manifest, sha256
from edgekd.engines import Engine, open_engine
from edgekd.engines.base import EVERY_MAP, Frames, Outputs
from edgekd.engines.worker import Worker
from edgekd.errors import EdgekdError, one_line
from edgekd.runner.pipeline import whole_batch
from edgekd.signing import required_key, signed_manifest
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipe_store import find_job, released_recipe
from edgekd.station.recipes import Recipe
from edgekd.station.snapshot import Loaded
from edgekd.verdicts.image_checks import FROZEN
from edgekd.verdicts.limits import Limits, limits_of

WARM_UP = 3  # Inferences: the first ones allocate memory and choose algorithms.

Value = TypeVar("Value")


class SharedEngine:
    """An engine for several stations. A thread of its own opens and uses it, one batch after another.

    Args:
        opening: Opens it.

    Attributes:
        engine: For what it takes; only `infer` may compute with it.
    """

    def __init__(self, opening: Callable[[], Engine]) -> None:
        self._worker = Worker("engine")
        self._closing = threading.Lock()
        self._closed = False
        try:
            self.engine = self._worker.submit(opening).result()
        except BaseException:
            self._worker.close(wait=False)
            raise

    def infer(self, frames: Frames, maps_above: float = EVERY_MAP) -> Outputs:
        """Runs one batch and waits for it, also for those of others before it; see `edgekd.engines.base.Engine`.

        The outputs are the caller's own.
        """
        with self._closing:
            if self._closed:  # Its thread would never do it.
                raise EdgekdError("this engine is closed: load the recipe again")
            outputs = self._worker.submit(self._infer, frames, maps_above)
        return outputs.result()

    def close(self) -> None:
        """Frees it once what is in flight has ended; does not wait for that."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._worker.submit(self.engine.close)
                self._worker.close(wait=False)

    def _infer(self, frames: Frames, maps_above: float) -> Outputs:
        outputs = self.engine.infer(frames, maps_above)
        # They may be the engine's memory, which the next batch of another station goes into.
        return outputs._replace(scores=outputs.scores.copy(), anomaly_maps=outputs.anomaly_maps.copy())


@dataclass(frozen=True)
class Model:
    """A recipe that is ready to judge.

    Attributes:
        recipe: What it holds.
        folder: Where it lies.
        digest: Of the recipe and its files.
        manifest: Of the detector.
        engine: What computes.
        limits: What is judged by.
        frozen_check: Whether a camera that repeats its image is an error.
    """

    recipe: Recipe
    folder: Path
    digest: str
    manifest: Manifest
    engine: SharedEngine
    limits: Limits
    frozen_check: bool

    @property
    def maps_above(self) -> float:
        """Anomaly maps are brought back of scores above it: of all that are not OK."""
        grey_zone = self.recipe.detector.grey_zone
        return min(self.limits.threshold, grey_zone[0] if grey_zone else math.inf)

    @property
    def loaded(self) -> Loaded:
        """The recipe as control knows it."""
        recipe, manifest = self.recipe, self.manifest
        return Loaded(
            recipe.job,
            recipe.id,
            recipe.revision,
            self.digest,
            recipe.product,
            recipe.detector.artifact,
            manifest["sha256"],
            manifest["system"],
        )


class _EngineKey(NamedTuple):
    manifest: str  # SHA-256; it holds that of the artifact.
    backend: str | None
    threads: int | None


class Models:
    """The models of a process: those that stations use, and those that are held ready for a change-over.

    Any thread may ask; each model and each engine is made once, by whoever asks first.

    Args:
        recipes: Folder of the recipes.
    """

    def __init__(self, recipes: Path) -> None:
        self._recipes = recipes
        self._lock = threading.Lock()
        self._models: dict[str, Future[Model]] = {}
        self._engines: dict[_EngineKey, Future[SharedEngine]] = {}

    def get(self, job: int) -> Model:
        """The model of a job; its recipe is found and its digest checked anew each time.

        Raises:
            StationError: JOB_UNKNOWN, DIGEST_DIFFERS, or LOADING_FAILED.
        """
        folder = find_job(self._recipes, job)
        recipe, digest = released_recipe(folder)  # Nothing but its recipe was parsed until here.
        try:
            return _once(self._lock, self._models, digest, lambda: self._make(recipe, folder, digest))
        except StationError:
            raise
        except Exception as error:
            raise StationError(ErrorCode.LOADING_FAILED, f"{folder}: {one_line(error)}") from error

    def release_unused(self, used: Iterable[Model]) -> None:
        """Closes engines that nobody needs any more.

        Args:
            used: What stations judge by now; what a recipe asks to preload stays as well.
        """
        with self._lock:
            keep = {model.digest for model in used}
            ready = {digest: future.result() for digest, future in self._models.items() if future.done()}
            newest = {model.recipe.id: model.recipe.revision for model in sorted(ready.values(), key=_revision)}
            for digest, model in ready.items():
                preloaded = model.recipe.preload and model.recipe.revision == newest[model.recipe.id]
                if digest not in keep and not preloaded:
                    del self._models[digest]
            if not all(future.done() for future in self._models.values()):
                return  # Another one is being made, and may need any engine.
            needed = {id(future.result().engine) for future in self._models.values()}
            idle = [key for key, made in self._engines.items() if made.done() and id(made.result()) not in needed]
            closing = [self._engines.pop(key).result() for key in idle]
        for engine in closing:
            engine.close()

    def close(self) -> None:
        """Closes all engines."""
        with self._lock:
            made = [future.result() for future in self._engines.values() if future.done()]
            self._models.clear()
            self._engines.clear()
        for engine in made:
            engine.close()

    def _make(self, recipe: Recipe, folder: Path, digest: str) -> Model:
        detector = recipe.detector
        artifact = folder / detector.artifact
        manifest = signed_manifest(artifact, required_key(None))
        limits = limits_of(manifest, detector.threshold, detector.ignored_checks)
        if not math.isfinite(limits.threshold):
            raise EdgekdError(f"the threshold must be a finite number, got {limits.threshold}")
        frozen = (manifest.get("image_checks") or {}).get(FROZEN) or {}
        frozen_check = FROZEN not in detector.ignored_checks and bool(frozen.get("on", True))
        engine = self._engine(recipe, artifact, manifest)
        return Model(recipe, folder, digest, manifest, engine, limits, frozen_check)

    def _engine(self, recipe: Recipe, artifact: Path, manifest: Manifest) -> SharedEngine:
        detector = recipe.detector
        key = _EngineKey(sha256(artifact.with_suffix(".json")), detector.backend, detector.threads)
        return _once(self._lock, self._engines, key, lambda: _open_warm(artifact, manifest, key))


def _revision(model: Model) -> int:
    return model.recipe.revision


def _open_warm(artifact: Path, manifest: Manifest, key: _EngineKey) -> SharedEngine:
    """Opens an engine and computes with it until it is as fast as it will be."""
    shared = SharedEngine(lambda: open_engine(artifact, key.backend, key.threads, manifest=manifest))
    try:
        engine = shared.engine
        tiles = np.zeros((engine.preprocessing.tiles, engine.spec.height, engine.spec.width, 3), np.uint8)
        for _ in range(WARM_UP):
            shared.infer(whole_batch(engine, tiles))
    except BaseException:
        shared.close()
        raise
    return shared


Key = TypeVar("Key")


def _once(lock: threading.Lock, made: dict[Key, Future[Value]], key: Key, make: Callable[[], Value]) -> Value:
    """What is there already, or is being made, or is made now; what cannot be made is tried again the next time."""
    with lock:
        known = made.get(key)
        mine: Future[Value] = made.setdefault(key, Future()) if known is None else known
    if known is not None:
        return known.result()
    try:
        value = make()
    except BaseException as error:
        with lock:
            made.pop(key, None)
        mine.set_exception(error)
        raise
    mine.set_result(value)
    return value
