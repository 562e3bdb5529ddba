"""What can go wrong at a station, as a number for the PLC and a sentence for people."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from edgekd.errors import EdgekdError


class ErrorCode(enum.IntEnum):
    """1xx acquisition, 2xx image, 3xx inference, 4xx handshake, 5xx recipe, 6xx storage, 7xx system; 0 is none."""

    NONE = 0
    ACQUISITION_TIMEOUT = 101
    IMAGE_INCOMPLETE = 102
    CAMERA_LOST = 103
    IMAGE_STALE = 104
    IMAGE_BLACK = 201
    IMAGE_OVEREXPOSED = 202
    IMAGE_CONTRAST = 203
    IMAGE_DEFOCUSED = 204
    IMAGE_FROZEN = 205
    IMAGE_FORMAT = 206
    IMAGE_SHIFTED = 207
    ENGINE_FAILED = 301
    SCORE_NOT_FINITE = 302
    ANSWER_LATE = 303
    DEVICE_LOST = 304
    INSPECTOR_DIED = 305
    TRIGGER_NOT_READY = 401
    TRIGGER_DISABLED = 402
    OVERRUN = 403
    PART_ID_TWICE = 404
    NO_ACKNOWLEDGEMENT = 405
    PLC_SILENT = 406
    JOB_UNKNOWN = 501
    DIGEST_DIFFERS = 502
    LOADING_FAILED = 503
    SELF_TEST_FAILED = 504
    SELF_TEST_DUE = 505
    ROW_NOT_WRITTEN = 601
    STORAGE_FULL = 602
    AUDIT_BROKEN = 603
    SYSTEM = 700
    STOP_RULE = 701
    LINK_LOST = 702
    CLOCK_JUMPED = 703
    ABORTED = 704


CAMERA_GONE = (ErrorCode.CAMERA_LOST, ErrorCode.IMAGE_STALE)  # A stream that ends or stands still is lost as well.


class Text(NamedTuple):
    """What happened, and what somebody beside the line does now."""

    what: str
    do: str


TEXTS: Mapping[ErrorCode, Text] = {
    ErrorCode.ACQUISITION_TIMEOUT: Text("The camera took no image in time.", "Check its trigger and exposure."),
    ErrorCode.IMAGE_INCOMPLETE: Text("The image did not arrive whole.", "Check the camera's cable and network."),
    ErrorCode.CAMERA_LOST: Text("The camera does not answer.", "Check its cable and power, then acknowledge."),
    ErrorCode.IMAGE_STALE: Text("The camera sends no new images.", "Check the camera, then acknowledge."),
    ErrorCode.IMAGE_BLACK: Text("The image is too dark.", "Check the lamp and the lens cover."),
    ErrorCode.IMAGE_OVEREXPOSED: Text("The image is too bright.", "Check the lamp, exposure and stray light."),
    ErrorCode.IMAGE_CONTRAST: Text("The image has too little contrast.", "Clean the lens and check the lamp."),
    ErrorCode.IMAGE_DEFOCUSED: Text("The image is out of focus.", "Check the lens and the distance to the part."),
    ErrorCode.IMAGE_FROZEN: Text("The camera repeats its image.", "Restart the camera, then acknowledge."),
    ErrorCode.IMAGE_FORMAT: Text("The image has another size or format.", "Check the camera's settings."),
    ErrorCode.IMAGE_SHIFTED: Text("The part lies elsewhere in the image.", "Check the part's position."),
    ErrorCode.ENGINE_FAILED: Text("The detector failed.", "If it happens again, call an engineer."),
    ErrorCode.SCORE_NOT_FINITE: Text("The detector gave no score.", "If it happens again, call an engineer."),
    ErrorCode.ANSWER_LATE: Text("The answer came too late.", "If it happens again, call an engineer."),
    ErrorCode.DEVICE_LOST: Text("The GPU does not answer.", "Acknowledge. If it happens again, call an engineer."),
    ErrorCode.INSPECTOR_DIED: Text("The inspector ended unexpectedly.", "It is being restarted: wait."),
    ErrorCode.TRIGGER_NOT_READY: Text("A trigger came before the station was ready.", "Check the PLC's handshake."),
    ErrorCode.TRIGGER_DISABLED: Text("A trigger came while triggers were disabled.", "Check the PLC's handshake."),
    ErrorCode.OVERRUN: Text("A trigger came while a result waited.", "Check the PLC's handshake."),
    ErrorCode.PART_ID_TWICE: Text("A part id came twice.", "Check the PLC's part ids."),
    ErrorCode.NO_ACKNOWLEDGEMENT: Text("The PLC did not take a result.", "Check the PLC and its connection."),
    ErrorCode.PLC_SILENT: Text("The PLC's heartbeat stopped.", "Check the PLC and its connection."),
    ErrorCode.JOB_UNKNOWN: Text("There is no released recipe for this job.", "Choose another, or release it."),
    ErrorCode.DIGEST_DIFFERS: Text(
        "A file of the recipe was changed.", "Restore it, or bring back an earlier release."
    ),
    ErrorCode.LOADING_FAILED: Text("The recipe could not be loaded.", "Call an engineer."),
    ErrorCode.SELF_TEST_FAILED: Text("The self-test failed.", "Clean lens and lamp, then start it again."),
    ErrorCode.SELF_TEST_DUE: Text("A self-test is overdue.", "Start it."),
    ErrorCode.ROW_NOT_WRITTEN: Text("The record could not be written.", "Check the disk."),
    ErrorCode.STORAGE_FULL: Text("The disk is nearly full: no images are kept.", "Free some space."),
    ErrorCode.AUDIT_BROKEN: Text("The audit trail was changed.", "Keep the record as it is, and call an engineer."),
    ErrorCode.SYSTEM: Text("The station itself failed.", "Call an engineer."),
    ErrorCode.STOP_RULE: Text("Too many parts are rejected.", "Stop the line, look at the parts, then acknowledge."),
    ErrorCode.LINK_LOST: Text("A connection is interrupted.", "Check it; verdicts go on."),
    ErrorCode.ABORTED: Text("Somebody aborted the part in progress.", "Reject it, or inspect it again."),
    ErrorCode.CLOCK_JUMPED: Text("The clock was set.", "Check the time; verdicts go on."),
}


class StationError(EdgekdError):
    """Something at a station that has a code, such as a recipe that cannot be loaded.

    Args:
        code: What a PLC reads.
        message: In one line: what is wrong and what to do.
    """

    exit_code = 3

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
