"""A line with its PLC: parts that lie under a camera when they are triggered, and what the PLC gets for each."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.result import Verdict
from edgekd.station.parts import Part
from edgekd.station.simulated_plc import Inputs, PlcResult, SimulatedPlc

from .laid_out import PATIENCE_S, WholeStation
from .numbered import NUMBERS, number_in, part_image, read_score


def encoded(image: NDArray[np.uint8]) -> bytes:
    """An image as a camera's program writes it."""
    return cv2.imencode(".png", image, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()


class Line(SimulatedPlc):
    """A PLC of one of a station's units, and the camera above its parts, which takes an image when it is asked for.

    Args:
        station: That it belongs to.
        name: Of the unit's station and camera.
        unit: Of it.
        options: Of the PLC.

    Attributes:
        results: What the PLC got for each part, in their order.
        expected: The job that is to judge.
        wrong: What must not happen, with how often.
        stalled: Whether the camera takes no images.
        name: As given.
    """

    def __init__(self, station: WholeStation, name: str = "top", unit: int = 1, **options: Any) -> None:
        super().__init__("127.0.0.1", station.port, unit, **{"poll_s": 0.002, "step_s": PATIENCE_S, **options})
        self.results: list[PlcResult] = []
        self.wrong: Counter[str] = Counter()
        self.expected = 1
        self.stalled = False
        self.name = name
        self._camera = station.camera(name)
        self._lies_there: bytes | None = None
        self._shot = 0

    async def part(self, number: int, defective: bool = False, content: bytes | None = None) -> PlcResult:
        """Lets a part come.

        Args:
            number: The PLC's, which its image carries.
            defective: Whether it has a bright spot.
            content: Of the image's file; None for that of the part.
        """
        self.lay(number, defective, content)
        try:
            result = await self.inspect(Part(number, f"S-{number}"))
        finally:
            self._lies_there = None
        self.results.append(result)
        self._check(result, defective)
        return result

    def lay(self, number: int, defective: bool = False, content: bytes | None = None) -> None:
        """Puts a part under the camera."""
        self._lies_there = content if content is not None else encoded(part_image(number, defective))

    async def read(self) -> Inputs:
        inputs = await super().read()
        if inputs.on("ACQUIRING") and self._lies_there is not None and not self.stalled:
            self.take_image()
        return inputs

    def take_image(self) -> None:
        """Has the camera take an image of the part, complete at once; the one before goes."""
        assert self._lies_there is not None
        (self._camera / f"{self._shot:06}.png").unlink(missing_ok=True)
        self._shot += 1
        part = self._camera / f".{self._shot:06}.part"
        part.write_bytes(self._lies_there)
        os.rename(part, self._camera / f"{self._shot:06}.png")
        self._lies_there = None

    def _check(self, result: PlcResult, defective: bool) -> None:
        """An answer that is no ERROR must be that of this part's image, by the job that was asked for."""
        if result.verdict is Verdict.ERROR or result.verdict is None:
            return
        told = read_score(result.score)
        if told.number != result.part.part_id % NUMBERS:
            self.wrong["a score of another part's image"] += 1
        if told.job != self.expected:
            self.wrong["a score of another recipe"] += 1
        if (result.verdict is Verdict.OK) is defective or told.defective is not defective:
            self.wrong["a verdict that the image does not give"] += 1


def on_line(work: Coroutine[Any, Any, None], seconds: float = 4 * PATIENCE_S) -> None:
    """Runs what a line does, which must end in time."""
    asyncio.run(asyncio.wait_for(work, seconds))


def wrong_in_record(station: WholeStation, results: list[PlcResult]) -> Counter[str]:
    """Holds the record against what PLCs got: everything that does not fit, with how often.

    Args:
        station: Whose record it is.
        results: Of all its PLCs.
    """
    wrong: Counter[str] = Counter()
    late = {row[0] for row in station.rows("SELECT verdict_id FROM delivery WHERE how = 'late'")}
    query = """SELECT result.id, acquisition_id, part, verdict, error_code, score FROM result
        JOIN verdict ON verdict.id = result.id ORDER BY result.id"""
    answers = {row[0]: row for row in station.rows(query)}
    given = Counter(row[1] for number, row in answers.items() if row[1] and number not in late)
    begun = [row[0] for row in station.rows("SELECT id FROM acquisition")]
    wrong["triggers without an answer"] = sum(not given[number] for number in begun)
    wrong["triggers with two answers"] = sum(times > 1 for times in given.values())
    wrong["answers without a trigger"] = len(given.keys() - set(begun))
    for number, _, part, verdict, _, score in answers.values():
        if verdict != "ERROR" and number not in late and read_score(score).number != part % NUMBERS:
            wrong["a row with the score of another part's image"] += 1
    for result in results:
        if not result.result_id:
            continue
        row = answers.get(result.result_id)
        if row is None or result.result_id in late:
            wrong[f"{'no' if row is None else 'a late'} row of an answer"] += 1
        elif (row[2], row[3], row[4]) != (result.part.part_id, result.verdict and result.verdict.value, result.error):
            wrong["a row that differs from its answer"] += 1
    ids = [result.result_id for result in results if result.result_id]
    wrong["result ids that came twice"] = len(ids) - len(set(ids))
    wrong.update(_wrong_images(station, {number: row[2] for number, row in answers.items()}))
    return +wrong


def _wrong_images(station: WholeStation, parts: dict[int, int]) -> Counter[str]:
    """The stored originals of judged parts must carry their parts' numbers."""
    wrong: Counter[str] = Counter()
    query = """SELECT verdict_id, path FROM image JOIN verdict ON verdict.id = verdict_id
        WHERE kind = 'original' AND verdict != 'ERROR' AND removed_ms IS NULL"""
    for number, path in station.rows(query):
        image = cv2.imread(str(station.data / Path(path)))
        if image is None:
            wrong["images on record that cannot be read"] += 1
        elif number_in(image) != parts[number] % NUMBERS:
            wrong["images of another part"] += 1
    return wrong
