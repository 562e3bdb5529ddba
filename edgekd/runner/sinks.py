"""Where answers go: a Parquet log, heat maps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

import cv2

from edgekd.artifact import write_beside
from edgekd.heatmap import overlay
from edgekd.result import AnomalyResult
from edgekd.runner.pipeline import STAGES, Answer

ROWS_AT_ONCE = 256


class ParquetLog:
    """A table of answers, one row a frame; see `parquet_log`."""

    def __init__(self, path: Path, threshold: float) -> None:
        import pyarrow
        import pyarrow.parquet

        self._threshold = threshold
        self._arrow = pyarrow
        number, text = pyarrow.float64(), pyarrow.string()
        columns = [("name", text), ("score", number), ("threshold", number), ("verdict", text), ("error", text)]
        self._schema = pyarrow.schema(columns + [(f"{stage}_ms", number) for stage in STAGES])
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema)
        self._rows: list[dict[str, object]] = []

    def write(self, name: str, result: AnomalyResult) -> None:
        """Adds an answer."""
        row: dict[str, object] = {
            "name": name,
            "score": result.score,
            "threshold": self._threshold,
            "verdict": result.verdict.value,
            "error": result.error,
        }
        self._rows.append(row | {f"{stage}_ms": result.timings.get(stage) for stage in STAGES})
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Writes what is left."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


@contextmanager
def parquet_log(path: Path, threshold: float) -> Iterator[ParquetLog]:
    """A Parquet file of answers that is whole even when the block is interrupted.

    Args:
        path: The file.
        threshold: Noted in every row.
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
        folder: Where to; a file is named after the time of its first answer, in UTC.
        threshold: Noted in every row.
        seconds: After which the next file is begun.
    """

    def __init__(self, folder: Path, threshold: float, seconds: float = 600.0) -> None:
        self._folder, self._threshold, self._seconds = folder, threshold, seconds
        self._file = ExitStack()
        self._log: ParquetLog | None = None
        self._begun = 0.0

    def write(self, name: str, result: AnomalyResult) -> None:
        """Adds an answer."""
        if self._log is None or time.monotonic() - self._begun >= self._seconds:
            self._file.close()
            path = self._folder / f"{datetime.now(timezone.utc):%Y-%m-%dT%H%M%S.%fZ}.parquet"
            self._log = self._file.enter_context(parquet_log(path, self._threshold))
            self._begun = time.monotonic()
        self._log.write(name, result)

    def __enter__(self) -> RotatingLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def write_heat_map(folder: Path, answer: Answer, low: float, high: float) -> Path:
    """Writes a frame's heat map over its image: part.png's is part.png.heat.jpg.

    Args:
        folder: Where to; folders inside the frame's name are kept.
        answer: With its image and its map.
        low, high: Where the colours begin and end, in raw map values.
    """
    assert answer.image is not None
    assert answer.result.anomaly_map is not None
    path = folder / f"{answer.name}.heat.jpg"
    with write_beside(path) as part:
        _, encoded = cv2.imencode(".jpg", overlay(answer.image, answer.result.anomaly_map, low, high))
        part.write_bytes(encoded.tobytes())
    return path
