"""One image of a part: checked, scored and judged, each way to fail with its own code."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Image, as_bgr8
from edgekd.data.preparing import Placement, frame_score, prepare
from edgekd.data.view_geometry import cropped
from edgekd.engines.base import Frames, Outputs
from edgekd.errors import EdgekdError, ImageError, MachineError, one_line
from edgekd.preprocessing import Preprocessing
from edgekd.result import AnomalyResult, Verdict
from edgekd.runner.pipeline import judged, whole_batch
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.loading import Model
from edgekd.station.parts import Inspected
from edgekd.verdicts.frozen import FrozenCamera, digest
from edgekd.verdicts.image_checks import BLURRED, BRIGHT, DARK, FLAT, SIZE, ImageChecks, Statistics, statistics

# In the order in which they are made: a covered lens is dark, flat and blurred, and the first is what to act upon.
CODES = {
    SIZE: ErrorCode.IMAGE_FORMAT,
    DARK: ErrorCode.IMAGE_BLACK,
    BRIGHT: ErrorCode.IMAGE_OVEREXPOSED,
    FLAT: ErrorCode.IMAGE_CONTRAST,
    BLURRED: ErrorCode.IMAGE_DEFOCUSED,
}
# A triggered camera takes each image anew, and its noise makes two differ: the second equal one is not a new one.
EQUAL_IMAGES = 2


@dataclass(frozen=True)
class Seen:
    """What became of one image.

    Attributes:
        inspected: The answer.
        image: As the camera gave it; None where it gave none.
        bit_depth: Bits that its values use.
        result: With the anomaly map where it was brought back; None without a score.
    """

    inspected: Inspected
    image: NDArray[Any] | None = None
    bit_depth: int = 8
    result: AnomalyResult | None = None

    def in_8_bits(self) -> Image:
        """The image as it was judged.

        Raises:
            ImageError: It cannot be, or there is none.
        """
        if self.image is None:
            raise ImageError("there is no image")
        return as_bgr8(self.image, "the image", self.bit_depth if self.image.dtype == np.uint16 else None)


class FrozenCheck:
    """Whether a camera gives the image of the part before again, by its pixels or by its own number of it."""

    def __init__(self) -> None:
        self._pixels = FrozenCamera(EQUAL_IMAGES)
        self._frame_id: int | None = None

    def check(self, image: Image, frame_id: int | None) -> None:
        """Looks at the next image.

        Raises:
            StationError: IMAGE_FROZEN.
        """
        failure = self._pixels.failure(digest(image))
        if frame_id is not None and frame_id == self._frame_id:
            failure = failure or f"frozen: the camera gives image {frame_id} again: check the camera and its cable"
        self._frame_id = frame_id
        if failure is not None:
            raise StationError(ErrorCode.IMAGE_FROZEN, failure)


class Judge:
    """Judges one image after another by a model.

    Args:
        model: What is judged by.
        image: uint8 or uint16, mono or BGR.
        bit_depth: Bits that it uses.
        known: What is known before it is judged: the acquisition, the camera, milliseconds until the image was here.
        frozen: Knows the image before; None where images may repeat.
    """

    def __init__(
        self, model: Model, image: NDArray[Any], bit_depth: int, known: Inspected, frozen: FrozenCheck | None = None
    ) -> None:
        self._model, self._image, self._bit_depth, self._frozen = model, image, bit_depth, frozen
        self._known = known
        self._timings = dict(known.timings)
        self._seen: Statistics | None = None

    def judge(self) -> Seen:
        """Judges it.

        Returns:
            With an error where it cannot be judged, whatever the reason.
        """
        result: AnomalyResult | None = None
        error, text = ErrorCode.NONE, ""
        try:
            result = self._judged()
        except StationError as failure:
            error, text = failure.code, str(failure)
        except Exception as failure:
            error, text = ErrorCode.SYSTEM, f"the image could not be judged: {type(failure).__name__}: {failure}"
        return Seen(self._answer(result, error, text.partition("\n")[0]), self._image, self._bit_depth, result)

    def _answer(self, result: AnomalyResult | None, error: ErrorCode, text: str) -> Inspected:
        answer = replace(
            self._known,
            recipe_digest=self._model.digest,
            error=error,
            error_text=text,
            threshold=self._model.limits.threshold,
            pixels=(int(self._image.shape[0]), int(self._image.shape[1])),
            checks=_figures(self._seen),
            timings=self._timings,
        )
        if result is None:
            return answer
        grey_zone = self._model.recipe.detector.grey_zone
        uncertain = grey_zone is not None and grey_zone[0] <= result.score <= grey_zone[1]
        return replace(
            answer, score=result.score, severity=result.severity, uncertain=uncertain, regions=result.regions
        )

    def _judged(self) -> AnomalyResult:
        engine = self._model.engine.engine
        with self._timed("check"):
            image = self._as_bgr8(engine.preprocessing)
            self._check(image, engine.preprocessing)
        with self._timed("pre"):
            frames, placement = self._prepared(image, engine.preprocessing)
        with self._timed("inference"):
            outputs = self._infer(whole_batch(engine, frames))
        with self._timed("post"):
            return self._result(outputs, placement)

    def _as_bgr8(self, preprocessing: Preprocessing) -> Image:
        stated = preprocessing.bit_depth
        if self._image.dtype == np.uint16 and stated not in (None, self._bit_depth):
            told = f"the camera gives {self._bit_depth} bits, and the detector was trained for {stated}"
            raise StationError(ErrorCode.IMAGE_FORMAT, f"{told}: set the camera's pixel format")
        try:
            return as_bgr8(self._image, "the image", self._bit_depth if self._image.dtype == np.uint16 else None)
        except ImageError as error:
            raise StationError(ErrorCode.IMAGE_FORMAT, str(error)) from error

    def _check(self, image: Image, preprocessing: Preprocessing) -> None:
        if self._frozen is not None:
            self._frozen.check(image, self._known.frame_id)
        limits = self._model.limits.checks.limits
        if not limits:
            return
        try:
            self._seen = statistics(cropped(image, preprocessing.view))
        except ImageError as error:
            raise StationError(ErrorCode.IMAGE_FORMAT, str(error)) from error
        for name, code in CODES.items():
            if name in limits and (failure := ImageChecks({name: limits[name]}).failure(self._seen)) is not None:
                raise StationError(code, failure)

    def _prepared(self, image: Image, preprocessing: Preprocessing) -> tuple[Frames, Placement]:
        try:
            cropped(image, preprocessing.view)
        except ImageError as error:
            raise StationError(ErrorCode.IMAGE_FORMAT, str(error)) from error
        try:
            return prepare(image, preprocessing)
        except ImageError as error:  # Its size is right, so it is how the part lies.
            raise StationError(ErrorCode.IMAGE_SHIFTED, str(error)) from error

    def _infer(self, frames: Frames) -> Outputs:
        shared = self._model.engine
        try:
            return shared.infer(frames, self._model.maps_above)
        except Exception as error:
            if shared.engine.broken is not None:
                raise StationError(ErrorCode.DEVICE_LOST, f"{shared.engine.broken}") from error
            hint = "" if isinstance(error, (EdgekdError, MachineError)) else f"{type(error).__name__}: "
            raise StationError(ErrorCode.ENGINE_FAILED, f"the engine failed: {hint}{one_line(error)}") from error

    def _result(self, outputs: Outputs, placement: Placement) -> AnomalyResult:
        model = self._model
        engine = model.engine.engine
        score = frame_score(outputs.scores[: engine.preprocessing.tiles], engine.preprocessing)
        if not math.isfinite(score):
            raise StationError(ErrorCode.SCORE_NOT_FINITE, f"the engine's score is not finite: {score}")
        try:
            result = judged(engine, outputs, 0, placement, model.limits, model.maps_above)
        except Exception as error:
            raise StationError(ErrorCode.ENGINE_FAILED, f"the engine's answer is none: {one_line(error)}") from error
        if result.verdict is Verdict.ERROR:
            raise StationError(ErrorCode.SCORE_NOT_FINITE, result.error or "the engine gave no clean answer")
        return result

    @contextlib.contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._timings[step] = (time.perf_counter() - start) * 1e3


def _figures(seen: Statistics | None) -> dict[str, float]:
    if seen is None:
        return {}
    return {name: float(value) for name, value in seen._asdict().items() if name not in ("width", "height")}


def is_ok(inspected: Inspected) -> bool:
    """Whether an answer speaks for OK: what is published is decided in control, by more than this."""
    return inspected.error is ErrorCode.NONE and not inspected.uncertain and inspected.score <= inspected.threshold


def worst(answers: Sequence[Inspected]) -> Inspected:
    """The answer of several cameras that counts: an ERROR, else NG, else the most severe.

    Args:
        answers: In the order of the cameras; at least one.
    """

    def badness(answer: Inspected) -> tuple[bool, bool, float]:
        severity = answer.severity if math.isfinite(answer.severity) else answer.score - answer.threshold
        return answer.error is not ErrorCode.NONE, not is_ok(answer), severity if math.isfinite(severity) else math.inf

    return max(answers, key=badness)
