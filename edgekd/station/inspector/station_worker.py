"""One station in the process: its recipe, its cameras, and the thread in which its parts are judged."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from edgekd.errors import ImageError, one_line
from edgekd.runner.sinks import FAST_PNG, write_image
from edgekd.station.cameras.camera import Grabbed
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.camera_thread import CameraThread
from edgekd.station.inspector.images import ImageWriter, View
from edgekd.station.inspector.judging import FrozenCheck, Judge, Seen, worst
from edgekd.station.inspector.loading import Model
from edgekd.station.inspector.messages import Exposed, Judged, Message
from edgekd.station.inspector.previews import Previews
from edgekd.station.parts import Acquisition, Inspected, TriggerSource
from edgekd.station.ports import Snapped
from edgekd.station.recipes import FREE_RUN, HARDWARE, SOFTWARE, CameraSettings

RESERVE = 0.02  # Seconds before the deadline at which a camera gives up, so that its error is there in time.
BY_CAMERA: TriggerSource = "camera"
JUST_BEFORE = 1e-6  # Seconds: the frame that triggered, and none before it.

logger = logging.getLogger(__name__)


class StationWorker:
    """Judges the parts of one station, one after another, in a thread of its own.

    Args:
        name: The station's.
        cameras: That see a part, by their names.
        images: Where images go.
        previews: Where small ones go that somebody looks at.
        send: Tells control what was found.
        triggered_by_camera: Whether each frame of its camera is a trigger.

    Attributes:
        model: What is judged by; None for nothing.
    """

    def __init__(
        self,
        name: str,
        cameras: Mapping[str, CameraThread],
        images: ImageWriter,
        previews: Previews,
        send: Callable[[Message], None],
        triggered_by_camera: bool = False,
    ) -> None:
        self.name = name
        self._triggered_by_camera = triggered_by_camera
        self.model: Model | None = None
        self._cameras, self._images, self._previews, self._send = cameras, images, previews, send
        self._frozen = {camera: FrozenCheck() for camera in cameras}
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"station {name}", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], None]) -> None:
        """Does something in the station's thread, after what was asked for before."""
        self._work.put(work)

    def close(self) -> None:
        """Ends the thread once all is done; `join` waits for that."""
        self._work.put(None)

    def join(self, until: float) -> None:
        """Waits for the end of the thread.

        Args:
            until: `time.monotonic()` until which to wait at most.
        """
        self._thread.join(max(0.0, until - time.monotonic()))

    def use(self, model: Model) -> None:
        """Judges by a model from now on; the cameras are set as its recipe asks for.

        Raises:
            StationError: LOADING_FAILED: the recipe leaves out a camera, a camera does not take a setting, or it is to
                trigger the station and to wait for it.
        """
        self.model = None
        missing = [name for name in self._cameras if name not in model.recipe.cameras]
        if missing:
            what = f"recipe {model.recipe.id} has no settings for camera '{missing[0]}' of station '{self.name}'"
            raise StationError(ErrorCode.LOADING_FAILED, f"{what}: add [cameras.{missing[0]}]")
        for name, camera in self._cameras.items():
            settings = model.recipe.cameras[name]
            if self._triggered_by_camera and settings.trigger == SOFTWARE:
                what = f"station '{self.name}' is triggered by its camera '{name}', which waits for the station"
                how = f'set cameras.{name}.trigger to "{HARDWARE}" or "{FREE_RUN}" in recipe {model.recipe.id}'
                raise StationError(ErrorCode.LOADING_FAILED, f"{what}: {how}")
            camera.configure(settings)
        self.model = model

    def inspect(self, acquisition: Acquisition) -> None:
        """Takes an image and judges it; control is told, whatever happens."""
        try:
            seen = self._inspect(acquisition)
        except StationError as error:
            seen = [_failed(acquisition, error.code, str(error))]
        except Exception as error:
            logger.exception("station '%s' could not inspect a part", self.name)
            text = f"the inspector failed: {type(error).__name__}: {one_line(error)}"
            seen = [_failed(acquisition, ErrorCode.SYSTEM, text)]
        # Before control is told: it may ask for the images at once.
        limits = self.model.limits if self.model is not None else None
        views = [View(each, limits) for each in seen if each.image is not None and limits is not None]
        self._images.offer(self.name, acquisition.acquisition_id, views)
        decided = worst([each.inspected for each in seen])
        self._send(Judged(station=self.name, inspected=decided))
        self._previews.offer(self.name, acquisition.acquisition_id, views, decided.camera)

    def snap(self, camera: str, settings: CameraSettings, path: Path) -> Snapped:
        """Takes an image with a camera, and writes it; a recipe has to be loaded anew then, with its own settings.

        Raises:
            StationError: The camera does not take a setting, or gives no image.
        """
        self.model = None
        self._cameras[camera].configure(settings)
        now = time.monotonic()
        grabbed = self._cameras[camera].grab(now, now + settings.timeout_ms / 1e3, _nothing).result()
        write_image(path, grabbed.image, FAST_PNG)
        return Snapped(int(grabbed.image.shape[0]), int(grabbed.image.shape[1]), grabbed.bit_depth)

    def _inspect(self, acquisition: Acquisition) -> list[Seen]:
        model = self.model
        if model is None:
            raise StationError(ErrorCode.LOADING_FAILED, f"no recipe is loaded for station '{self.name}': load one")
        if acquisition.recipe_digest != model.digest:
            raise StationError(
                ErrorCode.DIGEST_DIFFERS, "another recipe is loaded than control asks for: load it again"
            )
        exposed = _AllExposed(len(self._cameras), lambda: self._send(self._exposed(acquisition)))
        asked: list[tuple[str, Future[Grabbed]]] = []
        for name, camera in self._cameras.items():  # All at once; each takes its image in its own thread.
            timeout = model.recipe.cameras[name].timeout_ms / 1e3
            deadline = min(acquisition.deadline - RESERVE, acquisition.triggered + timeout)
            after = acquisition.triggered - (JUST_BEFORE if acquisition.source == BY_CAMERA else 0)
            asked.append((name, camera.grab(after, deadline, exposed.one_of())))
        return [self._judged(model, acquisition, name, image) for name, image in asked]

    def _judged(self, model: Model, acquisition: Acquisition, camera: str, image: Future[Grabbed]) -> Seen:
        try:
            grabbed = image.result()
        except StationError as error:
            return _failed(acquisition, error.code, str(error), camera)
        except ImageError as error:
            return _failed(acquisition, ErrorCode.IMAGE_INCOMPLETE, str(error), camera)
        except Exception as error:
            logger.error("camera '%s' failed", camera, exc_info=error)
            return _failed(acquisition, ErrorCode.SYSTEM, f"camera '{camera}' failed: {one_line(error)}", camera)
        known = Inspected(
            acquisition.acquisition_id,
            camera=camera,
            frame_id=grabbed.frame_id,
            timings={"acquire": (grabbed.received - acquisition.triggered) * 1e3},
        )
        text = ""
        if grabbed.received < acquisition.triggered:
            text = f"camera '{camera}' gave an image from before the trigger"
        elif acquisition.source == BY_CAMERA and grabbed.received > acquisition.triggered:
            text = f"the image of camera '{camera}' that was the trigger is gone: others came before it was taken"
        if text:
            return Seen(replace(known, error=ErrorCode.IMAGE_STALE, error_text=text), grabbed.image, grabbed.bit_depth)
        frozen = self._frozen[camera] if model.frozen_check else None
        return Judge(model, grabbed.image, grabbed.bit_depth, known, frozen).judge()

    def _exposed(self, acquisition: Acquisition) -> Exposed:
        return Exposed(station=self.name, acquisition_id=acquisition.acquisition_id)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                logger.exception("station '%s' failed", self.name)


class _AllExposed:
    """Tells when the last of several cameras has taken its image.

    Args:
        count: Of the cameras.
        tell: Called once, then.
    """

    def __init__(self, count: int, tell: Callable[[], None]) -> None:
        self._left, self._tell = count, tell
        self._lock = threading.Lock()

    def one_of(self) -> Callable[[], None]:
        """What one camera calls; only its first call counts."""
        called = threading.Event()

        def exposed() -> None:
            with self._lock:
                if called.is_set():
                    return
                called.set()
                self._left -= 1
                last = self._left == 0
            if last:
                self._tell()

        return exposed


def _nothing() -> None:
    """Where nobody waits for the exposure."""


def _failed(acquisition: Acquisition, code: ErrorCode, text: str, camera: str = "") -> Seen:
    took = {"acquire": (time.monotonic() - acquisition.triggered) * 1e3}
    return Seen(
        Inspected(
            acquisition.acquisition_id,
            acquisition.recipe_digest,
            code,
            text.partition("\n")[0],
            camera=camera,
            timings=took,
        )
    )


def models_of(workers: Sequence[StationWorker]) -> list[Model]:
    """What the stations judge by."""
    return [worker.model for worker in workers if worker.model is not None]
