"""Results of a search as a ZIP archive that is made while it is sent: tables, images, the audit trail and digests."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import sqlite3
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

from edgekd.errors import EdgekdError, MachineError
from edgekd.station.page.evaluating import evaluate
from edgekd.station.page.recorded import recorded_result
from edgekd.station.page.stored_images import file_of
from edgekd.station.ports import StoredImage
from edgekd.station.record.reading import MOST, Recorded, RecordReader
from edgekd.station.record.searching import Search, id_range, search
from edgekd.verdicts.audit import Entry

MOST_RESULTS = 20_000
MOST_BYTES = 8 << 30  # Of images.
CHUNK = 1 << 20
AT_ONCE = 2  # Exports.
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # What spreadsheets take for the beginning of one.
DIGESTS = "SHA256SUMS"  # As sha256sum --check reads it.
STEPS = ("acquire", "check", "pre", "inference", "post")
COLUMNS = (
    *("result_id", "published", "triggered", "station", "part_id", "serial", "lot", "job", "recipe", "revision"),
    *("recipe_digest", "verdict", "error_code", "error_text", "score", "threshold", "severity", "uncertain"),
    *("image_height", "image_width", "camera", "frame_id", "source", "total_ms"),
    *(f"{step}_ms" for step in STEPS),
    *("regions", "checks", "simulated", "self_test", "operator", "delivered"),
    *("review", "reviewed_by", "review_note", "original", "original_sha256", "heat_map", "heat_map_sha256"),
)
REVIEW_COLUMNS = ("result_id", "time", "who", "label", "note")
_running = threading.BoundedSemaphore(AT_ONCE)


class _Sent:
    """What was written into the archive and not sent yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, content: bytes) -> int:
        """Takes more."""
        self._pieces.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Does nothing: it is sent when it is taken."""

    def close(self) -> None:
        """Does nothing, likewise."""

    def take(self) -> bytes:
        """Gives what there is."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class Export:
    """An archive to send.

    Args:
        record: Where the results are.
        data: The record's folder.
        wanted: Which results.
        images: Whether their images are in it.
        about: Lines that say what it is.

    Attributes:
        results: How many there are.
        image_bytes: How large their images are, whether they are in it or not.

    Raises:
        EdgekdError: It would be too large; what to do.
        MachineError: Too many others are being made.
    """

    def __init__(
        self, record: RecordReader, data: Path, wanted: Search, images: bool = True, about: Sequence[str] = ()
    ) -> None:
        self._record, self._data, self._wanted, self._images = record, data, wanted, images
        self._about = tuple(about)
        self.results, self.image_bytes, self._before = evaluate(record.path, lambda log: _extent(log, wanted))
        if self.results > MOST_RESULTS:
            raise EdgekdError(
                f"{self.results} results were found, and an export holds {MOST_RESULTS}: choose a shorter time."
            )
        if images and self.image_bytes > MOST_BYTES:
            raise EdgekdError(
                f"Their images take {self.image_bytes >> 30} GiB, and an export holds {MOST_BYTES >> 30}: choose a "
                "shorter time, or leave the images out."
            )
        if not _running.acquire(blocking=False):
            raise MachineError("Other exports are being made: try again when they have ended.")
        _running.release()
        self._digests: dict[str, str] = {}
        self._problems: list[str] = []

    def pieces(self) -> Iterator[bytes]:
        """The archive, a piece at a time."""
        sent = _Sent()
        with _running, zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as archive:
            found: list[StoredImage] = []
            reviews: list[tuple[object, ...]] = []
            for _ in self._table(archive, "results.csv", COLUMNS, self._rows(found, reviews)):
                yield sent.take()
            for _ in self._table(archive, "reviews.csv", REVIEW_COLUMNS, [reviews]):
                yield sent.take()
            for _ in self._table(archive, "audit.csv", Entry._fields, self._trail()):
                yield sent.take()
            for image in found if self._images else ():
                for _ in self._image(archive, image):
                    yield sent.take()
            self._add(archive, "README.txt", "\n".join([*self._about, *self._problems, ""]))
            lines = "".join(f"{digest}  {name}\n" for name, digest in self._digests.items())
            archive.writestr(DIGESTS, lines)
        yield sent.take()

    def _rows(self, found: list[StoredImage], reviews: list[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
        """The table's rows, a thousand at a time; fills in which images and reviews there are."""
        before: int | None = self._before
        while before is not None:
            page = search(self._record, self._wanted, MOST, before, seconds=math.inf)
            before = page.next_before_id
            yield [_row(each) for each in page.results]
            for each in page.results:
                found += each.images
                number = each.outcome.result_id
                reviews += [(number, _time(one.time_utc_ms), one.who, one.label, one.note) for one in each.reviews]

    def _trail(self) -> Iterator[list[tuple[object, ...]]]:
        before: int | None = None
        while entries := self._record.entries(MOST, before):
            yield list(entries)
            before = entries[-1].id

    def _table(
        self,
        archive: zipfile.ZipFile,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Sequence[object]]],
    ) -> Iterator[None]:
        digest = hashlib.sha256()
        with archive.open(name, "w", force_zip64=True) as file:
            for lines in chain([[columns]], rows):
                digest.update(content := _csv(lines))
                file.write(content)
                yield
        self._digests[name] = digest.hexdigest()
        yield

    def _image(self, archive: zipfile.ZipFile, image: StoredImage) -> Iterator[None]:
        path = file_of(self._data, image)
        if path is None:
            self._problems.append(f"missing: {image.kind} of result {image.result_id}")
            return
        name, digest = f"images/{path.name}", hashlib.sha256()
        # Stored: PNG and JPEG are compressed already. A clock that was not set yet is before 1980, where ZIP begins.
        entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
        with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as file:
            while content := source.read(CHUNK):
                digest.update(content)
                file.write(content)
                yield
        self._digests[name] = digest.hexdigest()
        if image.sha256 and image.sha256 != self._digests[name]:
            self._problems.append(f"changed since it was written: {name}")
        yield

    def _add(self, archive: zipfile.ZipFile, name: str, text: str) -> None:
        content = text.encode()
        archive.writestr(name, content)
        self._digests[name] = hashlib.sha256(content).hexdigest()


def _extent(log: sqlite3.Connection, wanted: Search) -> tuple[int, int, int]:
    """How many results there are, the bytes of their images, and the id after the last."""
    low, high = id_range(log, wanted.since_ms, wanted.until_ms)
    condition, values = wanted.condition()
    where = f"id >= ? AND id < ? AND {condition}"
    count = log.execute(f"SELECT count(*) FROM verdicts WHERE {where}", (low, high, *values)).fetchone()[0]
    query = f"""SELECT coalesce(sum(bytes), 0) FROM image WHERE removed_ms IS NULL AND verdict_id >= ?
        AND verdict_id IN (SELECT id FROM verdicts WHERE {where})"""
    return count, log.execute(query, (low, low, high, *values)).fetchone()[0], high


def _row(recorded: Recorded) -> tuple[object, ...]:
    result: dict[str, Any] = dict(recorded_result(recorded))
    result["published"], result["triggered"] = (_time(result[f"{when}_utc_ms"]) for when in ("published", "triggered"))
    result |= {f"{step}_ms": result["timings_ms"].get(step) for step in STEPS}
    result["regions"], result["checks"] = json.dumps(result["regions"]), json.dumps(result["checks"])
    last = recorded.reviews[-1] if recorded.reviews else None
    result |= {
        "review": last and last.label,
        "reviewed_by": last and last.who,
        "review_note": last and last.note,
    }
    for kind in ("original", "heat_map"):
        images = [image for image in recorded.images if image.kind == kind]
        result[kind] = " ".join(f"images/{Path(image.path).name}" for image in images)
        result[f"{kind}_sha256"] = " ".join(image.sha256 for image in images)
    return tuple(result[name] for name in COLUMNS)


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_defused(cell) for cell in row] for row in rows)
    return text.getvalue().encode(errors="replace")


def _defused(cell: object) -> object:
    """A cell as it is, but text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _time(utc_ms: int) -> str:
    return datetime.fromtimestamp(utc_ms / 1000, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
