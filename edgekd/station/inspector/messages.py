"""What control and the inspector's process write to each other: JSON objects, each with its length before it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from edgekd.errors import EdgekdError, one_line
from edgekd.result import Verdict
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Acquisition, Inspected
from edgekd.station.ports import Snapped
from edgekd.station.recipes import CameraSettings, Name
from edgekd.station.snapshot import Loaded
from edgekd.typed import with_tuples

LENGTH = struct.Struct("!I")
MOST_BYTES = 1 << 20  # A hundred regions take 20 kB.
ImageKind = Literal["original", "heat_map"]


class Message(BaseModel):
    """What all messages have in common: a field more or of another type is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Configure(Message):
    """The first message: what the process is for.

    Attributes:
        data: Folder of the record and its images.
        recipes: Folder of the recipes.
        cameras: By their names.
        stations: Names of each station's cameras.
        triggered_by_camera: Stations for which each frame of their camera is a trigger.
        live: Folder of small images of the newest parts; None where nobody will look at them.
    """

    kind: Literal["configure"] = "configure"
    data: Path
    recipes: Path
    cameras: dict[Name, CameraConfiguration]
    stations: dict[Name, tuple[Name, ...]]
    triggered_by_camera: tuple[Name, ...] = ()
    live: Path | None = None


class Load(Message):
    """Loads a recipe; answered with `Replied`.

    Attributes:
        request: Number of the request, which the answer repeats.
        station: For which.
        job: Of the recipe.
        digest: That it must have; "" for any.
    """

    kind: Literal["load"] = "load"
    request: int
    station: Name
    job: int
    digest: str = ""


class Unload(Message):
    """Judges nothing more for a station; answered with `Replied`."""

    kind: Literal["unload"] = "unload"
    request: int
    station: Name


class SelfTest(Message):
    """Judges the references of the loaded recipe; answered with `Replied`."""

    kind: Literal["self_test"] = "self_test"
    request: int
    station: Name


class Inspect(Message):
    """Takes an image and judges it; answered with `Exposed` and `Judged`."""

    kind: Literal["inspect"] = "inspect"
    acquisition: Acquisition


class Keep(Message):
    """Writes images of an acquisition to the disk, or forgets them where none are wanted; answered with `Stored`.

    Attributes:
        station, acquisition_id: Whose images.
        result_id, verdict: For their names.
        published_utc_ms: For their folder.
        wanted: Which of them.
    """

    kind: Literal["keep"] = "keep"
    station: Name
    acquisition_id: int
    result_id: int
    verdict: Verdict
    published_utc_ms: int
    wanted: tuple[ImageKind, ...]


class Snap(Message):
    """Takes an image with a camera and writes it; answered with `Replied`. The recipe has to be loaded anew then.

    Attributes:
        request: Number of the request.
        station: Whose camera.
        camera: Which.
        settings: That it gets.
        path: Of the image.
    """

    kind: Literal["snap"] = "snap"
    request: int
    station: Name
    camera: Name
    settings: Annotated[CameraSettings, BeforeValidator(with_tuples)]
    path: Path


class Watch(Message):
    """Writes small images of a station's newest parts from now on, or no longer."""

    kind: Literal["watch"] = "watch"
    station: Name
    watched: bool


class Ping(Message):
    """Asks whether the process still responds; answered with `Beat`."""

    kind: Literal["ping"] = "ping"


class Stop(Message):
    """Closes everything and ends the process."""

    kind: Literal["stop"] = "stop"


class Ready(Message):
    """The process has started."""

    kind: Literal["ready"] = "ready"


class Beat(Message):
    """The process responds: sent each half second, and where `Ping` asks.

    Attributes:
        preloading: Whether recipes are being made ready, during which a library may hold Python's lock for a while.
    """

    kind: Literal["beat"] = "beat"
    preloading: bool = False


class Replied(Message):
    """The answer to a request.

    Attributes:
        request: Its number.
        code: NONE where it was fulfilled.
        text: Why not, in one line; of a self-test how it went.
        loaded: Of `Load`.
        passed: Of `SelfTest`; likewise `differences`.
        snapped: Of `Snap`.
    """

    kind: Literal["replied"] = "replied"
    request: int
    code: ErrorCode = ErrorCode.NONE
    text: str = ""
    loaded: Loaded | None = None
    passed: bool = False
    differences: tuple[str, ...] = ()
    snapped: Snapped | None = None


class Exposed(Message):
    """All cameras of the station have taken their image: the part may move."""

    kind: Literal["exposed"] = "exposed"
    station: Name
    acquisition_id: int


class Judged(Message):
    """The answer to `Inspect`."""

    kind: Literal["judged"] = "judged"
    station: Name
    inspected: Inspected


class FrameReceived(Message):
    """A frame came that its camera's line, or the camera itself, has triggered.

    Attributes:
        station: Whose camera it is.
        received: `time.monotonic()`, which is the same in all processes; `Acquisition.triggered` has it then.
    """

    kind: Literal["frame_received"] = "frame_received"
    station: Name
    received: float


class CameraChanged(Message):
    """A camera was opened or lost.

    Attributes:
        camera: Its name.
        up: Whether it is there.
        code: Why it is lost.
        text: The same in one line.
    """

    kind: Literal["camera_changed"] = "camera_changed"
    camera: Name
    up: bool
    code: ErrorCode = ErrorCode.NONE
    text: str = ""


class Condemned(Message):
    """Only a new process helps, as where a driver does not return; control ends this one.

    Attributes:
        text: Why, in one line.
    """

    kind: Literal["condemned"] = "condemned"
    text: str


class Stored(Message):
    """An image was written; see `edgekd.station.ports.StoredImage`."""

    kind: Literal["stored"] = "stored"
    result_id: int
    image: ImageKind
    path: str
    sha256: str
    bytes: int


class Warned(Message):
    """Something that people should know and that changes no verdict, such as an image that was not written."""

    kind: Literal["warned"] = "warned"
    text: str


ToInspector: TypeAlias = Configure | Load | Unload | SelfTest | Inspect | Keep | Snap | Watch | Ping | Stop
FromInspector: TypeAlias = (
    Ready | Beat | Replied | Exposed | Judged | FrameReceived | CameraChanged | Condemned | Stored | Warned
)
TO_INSPECTOR: TypeAdapter[ToInspector] = TypeAdapter(Annotated[ToInspector, Field(discriminator="kind")])
FROM_INSPECTOR: TypeAdapter[FromInspector] = TypeAdapter(Annotated[FromInspector, Field(discriminator="kind")])


class MessageError(EdgekdError):
    """What came is no message."""


def encode(message: Message) -> bytes:
    """A message as it is sent, with its length before it.

    Raises:
        MessageError: It is too long.
    """
    content = message.model_dump_json().encode()
    return LENGTH.pack(checked_length(len(content))) + content


def checked_length(length: int) -> int:
    """The length of a message.

    Raises:
        MessageError: No message is so long.
    """
    if length > MOST_BYTES:
        raise MessageError(f"a message of {length} bytes: at most {MOST_BYTES} are sent")
    return length


def decode_to_inspector(content: bytes) -> ToInspector:
    """What control has sent.

    Raises:
        MessageError: It is no such message.
    """
    try:
        return TO_INSPECTOR.validate_json(content)
    except ValidationError as error:
        raise MessageError(f"not a message to the inspector: {one_line(error)}") from None


def decode_from_inspector(content: bytes) -> FromInspector:
    """What the inspector has sent.

    Raises:
        MessageError: It is no such message.
    """
    try:
        return FROM_INSPECTOR.validate_json(content)
    except ValidationError as error:
        raise MessageError(f"not a message of the inspector: {one_line(error)}") from None
