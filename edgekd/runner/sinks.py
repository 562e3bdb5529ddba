"""Where answers go: a Parquet log, heat maps."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgekd.artifact import write_beside
from edgekd.data.images import Image
from edgekd.heatmap import outline_regions, overlay, write_text
from edgekd.result import AnomalyResult
from edgekd.runner.pipeline import STAGES, Answer

if TYPE_CHECKING:
    import polars as pl

SMALLEST_HEAT_MAP = 256  # Pixels a side.
ROWS_AT_ONCE = 4096  # Closing a table of 60,000 rows takes four times as long with 256: a camera waits meanwhile.


class ParquetLog:
    """A table of answers, one row a frame; see `parquet_log`.

    Polars cannot add rows to a Parquet file. Every few thousand rows therefore become a small file of their own, in a
    folder beside the table, and `close` streams them into the table: memory does not grow with the rows, and a process
    that is killed leaves whole files.
    """

    def __init__(self, path: Path, threshold: float) -> None:
        import polars as pl  # When a log is written, not when the runner is imported: it takes a quarter of a second.

        self._path, self._threshold = path, threshold
        self._folder = path.with_suffix(".rows")
        self._parts: list[Path] = []
        self._rows: list[dict[str, object]] = []
        text, number = pl.String(), pl.Float64()
        columns = {"name": text, "score": number, "severity": number, "threshold": number, "verdict": text}
        columns |= {"error": text, "regions": text, "notice": text}
        self._schema = pl.Schema({**columns, **{f"{stage}_ms": number for stage in STAGES}})
        path.touch()  # A place that cannot be written is refused before the first answer.

    def write(self, name: str, result: AnomalyResult, notices: Sequence[str] = ()) -> None:
        """Adds an answer."""
        row: dict[str, object] = {
            "name": name,
            "score": result.score,
            "severity": result.severity,
            "threshold": self._threshold,
            "verdict": result.verdict.value,
            "error": result.error,
            "regions": json.dumps([asdict(region) for region in result.regions]),
            "notice": "; ".join(notices) or None,
        }
        self._rows.append(row | {f"{stage}_ms": result.timings.get(stage) for stage in STAGES})
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Writes the table."""
        import polars as pl

        before = [pl.scan_parquet(self._parts)] if self._parts else []
        try:
            with _writes():
                pl.concat([*before, self._frame().lazy()]).sink_parquet(self._path)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _flush(self) -> None:
        self._folder.mkdir(exist_ok=True)
        part = self._folder / f"{len(self._parts):08}.parquet"
        with _writes():
            self._frame().write_parquet(part)
        self._parts.append(part)
        self._rows.clear()

    def _frame(self) -> pl.DataFrame:
        import polars as pl

        return pl.DataFrame(self._rows, schema=self._schema)


@contextmanager
def _writes() -> Iterator[None]:
    """Turns what polars reports of a failed write into the operating system's error that it was.

    Raises:
        OSError: The disk is full, or the like.
    """
    import polars as pl

    try:
        yield
    except pl.exceptions.PolarsError as error:
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


@contextmanager
def parquet_log(path: Path, threshold: float) -> Iterator[ParquetLog]:
    """A Parquet file of answers that is whole even when the block is interrupted.

    Args:
        path: The file; its folder is made.
        threshold: Written into every row.

    Raises:
        EdgekdError: The file cannot be written.
        MachineError: The disk is full.
    """
    with write_beside(path) as part:
        log = ParquetLog(part, threshold)
        failure: BaseException | None = None
        try:
            yield log
        except BaseException as error:  # What was answered before stays answered; the error goes on below.
            failure = error
        log.close()
    if failure is not None:
        raise failure


class RotatingLog:
    """Parquet files of answers, one after the other, so that a power cut costs the last of them alone.

    Args:
        folder: Where the files go; a file is named after the time of its first answer, in UTC.
        threshold: Written into every row.
        seconds: How long a file grows until the next one is begun.
    """

    def __init__(self, folder: Path, threshold: float, seconds: float = 600.0) -> None:
        self._folder, self._threshold, self._seconds = folder, threshold, seconds
        self._file = ExitStack()
        self._log: ParquetLog | None = None
        self._begun = 0.0

    def write(self, name: str, result: AnomalyResult, notices: Sequence[str] = ()) -> None:
        """Adds an answer."""
        if self._log is None or time.monotonic() - self._begun >= self._seconds:
            self._file.close()
            path = self._folder / f"{datetime.now(timezone.utc):%Y-%m-%dT%H%M%S.%fZ}.parquet"
            self._log = self._file.enter_context(parquet_log(path, self._threshold))
            self._begun = time.monotonic()
        self._log.write(name, result, notices)

    def __enter__(self) -> RotatingLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def write_heat_map(folder: Path, answer: Answer, low: float, high: float, pixel_limit: float = math.nan) -> Path:
    """Writes a frame's heat map over its image, with verdict, score, severity and regions: part.png.heat.jpg.

    A small image is enlarged until the text can be read.

    Args:
        folder: Where it goes; folders inside the frame's name are kept.
        answer: An answer that has its image and its map.
        low, high: Raw map values at which the colours begin and end.
        pixel_limit: Above it the map is in a region; NaN for no regions.
    """
    assert answer.image is not None
    assert answer.result.anomaly_map is not None
    path = folder / f"{answer.name}.heat.jpg"
    with write_beside(path) as part:
        _, encoded = cv2.imencode(".jpg", _drawn(answer.image, answer.result, low, high, pixel_limit))
        part.write_bytes(encoded.tobytes())
    return path


def _drawn(image: Image, result: AnomalyResult, low: float, high: float, pixel_limit: float) -> Image:
    assert result.anomaly_map is not None
    times = math.ceil(SMALLEST_HEAT_MAP / min(image.shape[:2]))
    enlarged = np.repeat(np.repeat(image, times, axis=0), times, axis=1) if times > 1 else image
    drawn = overlay(enlarged, result.anomaly_map, low, high)
    if result.regions:
        corners = [(times * region.box[0], times * region.box[1]) for region in result.regions]
        drawn = outline_regions(drawn, result.anomaly_map > pixel_limit, corners)
    severity = f"  severity {result.severity:.2f}" if math.isfinite(result.severity) else ""
    return write_text(drawn, f"{result.verdict.value}  {result.score:.4g}{severity}", 0, 0)
