"""Recipes: what is inspected how, immutable once released. One folder a revision: recipe.toml, detector, references."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edgekd.typed import ClosedEntry, FileName, InnerPath

FREE_RUN, SOFTWARE, HARDWARE = "free_run", "software", "hardware"
Trigger = Literal["free_run", "software", "hardware"]
Status = Literal["draft", "released", "retired"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _name(value: str) -> str:
    """Checks a name that becomes a folder, a topic or a node."""
    if not NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 letters, digits, '_', '-' or '.', the first a letter or a digit")
    return value


Name = Annotated[str, AfterValidator(_name)]
Milliseconds = Annotated[float, Field(gt=0, le=600_000)]


class Release(ClosedEntry):
    """Who released a recipe, when, and why."""

    by: str
    at: str
    reason: str


class Detector(ClosedEntry):
    """The artifact that judges, and what of it the recipe sets itself.

    Attributes:
        artifact: File beside the recipe, such as detector_int8.onnx; its manifest stands beside it.
        backend: Back end that computes; None for the fastest on this machine.
        threads: CPU threads for an inference; None for all.
        threshold: Scores above it are NG; None for the artifact's own.
        threshold_origin: Where it comes from, in words.
        grey_zone: Scores inside are NG as uncertain, in units of the score; None for no such zone.
        ignored_checks: Names of image checks to leave out.
    """

    artifact: FileName
    backend: str | None = None
    threads: int | None = None
    threshold: float | None = None
    threshold_origin: str = ""
    grey_zone: tuple[float, float] | None = None
    ignored_checks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _zone_rises(self) -> Detector:
        if self.grey_zone is not None and self.grey_zone[0] > self.grey_zone[1]:
            raise ValueError("must hold the lower edge of grey_zone first")
        return self


class CameraSettings(ClosedEntry):
    """What a recipe sets at a camera, and reads back; None leaves the camera as it is.

    Attributes:
        trigger: free_run takes the newest frame after the trigger, software asks the camera for one, hardware waits
            for the one that a line of the camera starts.
        line: The camera's input for hardware triggers, by GenICam's name.
        pixel_format: By GenICam's name, such as Mono8, BayerRG8, Mono12Packed.
        exposure_us: Microseconds.
        gain: In the camera's own unit, mostly dB.
        white_balance: Ratios of red and blue to green.
        region: x, y, width, height, in pixels of the sensor.
        timeout_ms: How long an image may take.
    """

    trigger: Trigger = "software"
    line: str = "Line1"
    pixel_format: str | None = None
    exposure_us: Annotated[float, Field(gt=0)] | None = None
    gain: float | None = None
    white_balance: tuple[float, float] | None = None
    region: tuple[int, int, int, int] | None = None
    timeout_ms: Milliseconds = 300


class Reference(ClosedEntry):
    """An image of the stored self-test, with the verdict and the band of scores that it must have.

    Attributes:
        image: File beside the recipe, losslessly compressed.
        verdict: OK or NG.
        lowest: Of the score.
        highest: Of the score.
    """

    image: InnerPath
    verdict: Literal["OK", "NG"]
    lowest: float
    highest: float

    @model_validator(mode="after")
    def _band_rises(self) -> Reference:
        if self.lowest > self.highest:
            raise ValueError(f"must have lowest below highest, got {self.lowest:g} and {self.highest:g}")
        return self


class SelfTests(ClosedEntry):
    """How often the station proves itself.

    Attributes:
        references: Images of the stored self-test.
        every_hours: The stored self-test runs at least so often.
        master_parts: Labels of the physical parts, in their order, with the verdict of each; none for no such test.
        master_every_hours: A master-part test is due so often; 0 for at change-over alone.
    """

    references: tuple[Reference, ...] = ()
    every_hours: Annotated[float, Field(gt=0)] = 24
    master_parts: tuple[tuple[str, Literal["OK", "NG"]], ...] = ()
    master_every_hours: Annotated[float, Field(ge=0)] = 0


class StopRules(ClosedEntry):
    """When the station asks the line to stop; 0 for no such rule.

    Attributes:
        ng_in_a_row: That many NG.
        errors_in_a_row: That many ERROR are a FAULT.
        reject_rate: Share of NG in the window that is too many.
        window: Parts of that window.
    """

    ng_in_a_row: Annotated[int, Field(ge=0)] = 0
    errors_in_a_row: Annotated[int, Field(ge=0)] = 3
    reject_rate: Annotated[float, Field(ge=0, le=1)] = 0
    window: Annotated[int, Field(ge=1)] = 100


class Keep(ClosedEntry):
    """Which images are kept: every NG and ERROR, and some OK.

    Attributes:
        ok_every: One OK in so many; 0 for none.
        ok_first: The first after a change-over.
        ng_days: Then they go; likewise the others.
    """

    ok_every: Annotated[int, Field(ge=0)] = 100
    ok_first: Annotated[int, Field(ge=0)] = 20
    ng_days: Annotated[float, Field(gt=0)] = 90
    error_days: Annotated[float, Field(gt=0)] = 30
    ok_days: Annotated[float, Field(gt=0)] = 7


class Recipe(ClosedEntry):
    """A revision of a recipe, as recipe.toml holds it.

    Attributes:
        id: Its name.
        job: What the PLC asks for, 1 to 999.
        revision: From 1; a change makes the next.
        product: In words.
        status: Only released ones judge parts.
        release: Who released it; None for a draft.
        detector: What judges.
        cameras: Settings by the names of the station's cameras; with several, the worst verdict counts.
        deadline_ms: From trigger to answer.
        self_tests: How the station proves itself.
        stop: When the line is asked to stop.
        keep: Which images are kept.
        preload: Whether it is held ready for a change-over.
    """

    id: Name
    job: Annotated[int, Field(ge=1, le=999)]
    revision: Annotated[int, Field(ge=1)]
    product: str = ""
    status: Status = "draft"
    release: Release | None = None
    detector: Detector
    cameras: Annotated[dict[Name, CameraSettings], Field(min_length=1)]
    deadline_ms: Milliseconds = 500
    self_tests: SelfTests = SelfTests()
    stop: StopRules = StopRules()
    keep: Keep = Keep()
    preload: bool = False
