"""Opens a camera of any kind."""

from __future__ import annotations

from edgekd.errors import EdgekdError
from edgekd.station.cameras.camera import Camera
from edgekd.station.cameras.driver import Driver
from edgekd.station.cameras.threaded import ThreadedCamera
from edgekd.station.configuration import CameraConfiguration


def open_camera(name: str, configuration: CameraConfiguration) -> Camera:
    """Opens a camera.

    Args:
        name: As the configuration names it.
        configuration: What it is.

    Raises:
        StationError: CAMERA_LOST: it does not answer, or another program has it.
        EdgekdError: The configuration is wrong.
        MachineError: A library that this kind needs is not installed.
    """
    camera = ThreadedCamera(name, make_driver(name, configuration))
    try:
        camera.wait_until_open()
    except EdgekdError:
        camera.close()
        raise
    return camera


def make_driver(name: str, configuration: CameraConfiguration) -> Driver:
    """The driver of a kind of camera; nothing is opened yet.

    Args:
        name: The camera's.
        configuration: What it is.

    Raises:
        EdgekdError: The configuration is wrong.
        MachineError: A library that this kind needs is not installed.
    """
    # Each kind is imported where it is used: most need a library of their own.
    kind, source = configuration.kind, configuration.source
    if kind == "opencv":
        from edgekd.station.cameras.opencv import OpenCvDriver

        return OpenCvDriver(name, source)
    if kind == "url":
        from edgekd.station.cameras.url import UrlDriver

        return UrlDriver(name, source)
    if kind == "gstreamer":
        from edgekd.station.cameras.gstreamer import GStreamerDriver

        return GStreamerDriver(name, source)
    if kind == "genicam":
        from edgekd.station.cameras.genicam import GenicamDriver

        return GenicamDriver(name, source, configuration.producer)
    if kind == "aravis":
        from edgekd.station.cameras.aravis import AravisDriver

        return AravisDriver(name, source)
    if kind == "folder":
        from edgekd.station.cameras.folder import FolderDriver

        return FolderDriver(name, source)
    from edgekd.station.cameras.video import VideoDriver

    return VideoDriver(name, source)
