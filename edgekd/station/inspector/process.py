"""The inspector's process: cameras and engines, away from whoever answers the PLC. Control starts it."""

from __future__ import annotations

import faulthandler
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from edgekd.errors import one_line
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.camera_thread import CameraThread
from edgekd.station.inspector.channel import Channel, die_with_parent, end_now
from edgekd.station.inspector.images import ImageWriter
from edgekd.station.inspector.loading import Models
from edgekd.station.inspector.messages import (
    CameraChanged,
    Condemned,
    Configure,
    FrameReceived,
    Inspect,
    Keep,
    Load,
    Ping,
    Ready,
    Replied,
    SelfTest,
    Snap,
    Stop,
    ToInspector,
    Unload,
    Watch,
)
from edgekd.station.inspector.previews import Previews
from edgekd.station.inspector.self_test import run_self_test
from edgekd.station.inspector.station_worker import StationWorker, models_of
from edgekd.station.recipe_store import recipes_in_use

CLOSING, WRITING = 4.0, 8.0  # Seconds at the end until cameras are left alone, and then images: control waits for ten.

logger = logging.getLogger(__name__)


class InspectorProcess:
    """Everything that lives in the process.

    Args:
        channel: To control.
        configuration: What control sent first.
    """

    def __init__(self, channel: Channel, configuration: Configure) -> None:
        self._send = channel.send
        self._channel = channel
        self._recipes = configuration.recipes
        self._models = Models(configuration.recipes)
        self._images = ImageWriter(configuration.data, channel.send)
        self._previews = Previews(configuration.live)
        triggering = {configuration.stations[name][0]: name for name in configuration.triggered_by_camera}
        self._cameras = {
            name: CameraThread(
                name, camera, self._camera_changed, self._condemn, self._trigger_of(triggering.get(name))
            )
            for name, camera in configuration.cameras.items()
        }
        self._stations = {
            name: StationWorker(
                name,
                {camera: self._cameras[camera] for camera in cameras},
                self._images,
                self._previews,
                channel.send,
                triggered_by_camera=name in configuration.triggered_by_camera,
            )
            for name, cameras in configuration.stations.items()
        }
        self._changing = threading.Lock()  # What stations judge by.

    def run(self) -> None:
        """Does what control asks for, until it asks for the end."""
        threading.Thread(target=self._preload, name="preload", daemon=True).start()
        while not isinstance(message := self._channel.receive(), Stop):
            self._handle(message)
        self._close()

    def _handle(self, message: ToInspector) -> None:
        """Begins what a message asks for; nothing here may wait, or nobody would answer `Ping`."""
        if isinstance(message, Ping):
            self._channel.beat()
        elif isinstance(message, Inspect):
            worker, acquisition = self._stations[message.acquisition.station], message.acquisition
            worker.submit(lambda: worker.inspect(acquisition))
        elif isinstance(message, Keep):
            self._images.keep(message)
        elif isinstance(message, Watch):
            self._previews.watch(message.station, message.watched)
        elif isinstance(message, (Load, Unload, SelfTest, Snap)):
            worker = self._stations[message.station]
            worker.submit(self._replying(message, worker))

    def _replying(self, message: Load | Unload | SelfTest | Snap, worker: StationWorker) -> Callable[[], None]:
        """Work that ends with a reply, whatever happens."""

        def work() -> None:
            try:
                if isinstance(message, Load):
                    replied = self._load(message, worker)
                elif isinstance(message, Unload):
                    replied = self._unload(message, worker)
                elif isinstance(message, Snap):
                    snapped = worker.snap(message.camera, message.settings, message.path)
                    replied = Replied(request=message.request, snapped=snapped)
                else:
                    replied = self._self_test(message, worker)
            except StationError as error:
                replied = Replied(request=message.request, code=error.code, text=str(error))
            except Exception as error:
                logger.exception("a request of control failed")
                text = f"the inspector failed: {type(error).__name__}: {one_line(error)}"
                replied = Replied(request=message.request, code=ErrorCode.SYSTEM, text=text)
            self._send(replied)

        return work

    def _load(self, message: Load, worker: StationWorker) -> Replied:
        worker.model = None
        try:
            with self._changing:
                model = self._models.get(message.job)
                if message.digest not in ("", model.digest):
                    text = f"job {message.job} is another recipe now than before: load it again"
                    raise StationError(ErrorCode.DIGEST_DIFFERS, text)
                worker.use(model)
        finally:
            self._release_unused()
        return Replied(request=message.request, loaded=model.loaded)

    def _unload(self, message: Unload, worker: StationWorker) -> Replied:
        worker.model = None  # Its engine stays until another one is loaded: mostly the same one is wanted again.
        return Replied(request=message.request)

    def _self_test(self, message: SelfTest, worker: StationWorker) -> Replied:
        if worker.model is None:
            raise StationError(ErrorCode.SELF_TEST_FAILED, f"no recipe is loaded for station '{worker.name}'")
        report = run_self_test(worker.model)
        if worker.model.engine.engine.broken is not None:  # It failed, so no part comes that finds it.
            self._condemn("its device does not respond")
        return Replied(request=message.request, passed=report.passed, text=report.text, differences=report.differences)

    def _release_unused(self) -> None:
        with self._changing:
            self._models.release_unused(models_of(list(self._stations.values())))

    def _preload(self) -> None:
        """Makes what recipes ask to hold ready; what fails is reported when somebody asks for it."""
        try:
            jobs = [each.recipe.job for each in recipes_in_use(self._recipes) if each.recipe and each.recipe.preload]
        except Exception as error:
            logger.warning("no recipe is preloaded: %s", one_line(error))
            return
        self._channel.preloading = True
        self._channel.beat()  # Before anything may keep the next one from being sent.
        for job in jobs:
            try:
                self._models.get(job)
            except Exception as error:
                logger.warning("job %d is not preloaded: %s", job, one_line(error))
        self._channel.preloading = False

    def _trigger_of(self, station: str | None) -> Callable[[float], None] | None:
        """What tells control that a frame triggered a station; None for no station."""
        if station is None:
            return None
        return lambda received: self._send(FrameReceived(station=station, received=received))

    def _camera_changed(self, name: str, up: bool, code: ErrorCode, text: str) -> None:
        self._send(CameraChanged(camera=name, up=up, code=code, text=text))

    def _condemn(self, text: str) -> None:
        self._send(Condemned(text=text))

    def _close(self) -> None:
        now = time.monotonic()
        for ending in (self._stations.values(), self._cameras.values()):
            for each in ending:
                each.close()
            for each in ending:
                each.join(now + CLOSING)
        self._images.close(now + WRITING)
        self._models.close()


def main() -> None:
    """Runs the process; its last argument is the number of its socket."""
    die_with_parent()
    faulthandler.enable()
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # They go to the whole group: control finishes the part, then stops us.
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="inspector: %(levelname)s: %(message)s")
    channel = Channel(socket.socket(fileno=int(sys.argv[-1])))
    configuration = channel.receive()
    if not isinstance(configuration, Configure):
        sys.exit(f"the first message is {configuration.kind}, and it must be configure")
    process = InspectorProcess(channel, configuration)
    channel.keep_beating()
    channel.send(Ready())
    process.run()
    end_now()  # Without waiting for a thread that a driver holds.


if __name__ == "__main__":
    main()
