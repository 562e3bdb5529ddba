"""The verdict log: each verdict is on record before it is printed or acted upon, and none is ever replaced."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgekd.result import AnomalyResult, Verdict
from edgekd.verdicts.image_statistics import Statistics
from edgekd.verdicts.log_file import Clock as Clock
from edgekd.verdicts.log_file import LogFile
from edgekd.verdicts.log_schema import Synchronous
from edgekd.verdicts.text import exact_bytes, printable

STAGES = ("pre", "inference", "post", "end_to_end")
# What goes first where images have to go: OK, then ERROR, then NG.
RANKS = {Verdict.OK: 0, Verdict.ERROR: 1, Verdict.NG: 2}
ImageKind = Literal["heat_map", "original"]

COLUMNS = (
    *("session_id", "name", "name_bytes", "part_id", "lot", "recipe", "operator", "score", "severity", "threshold"),
    *("verdict", "error", "regions", "more_regions", "checks", "notice", "dropped"),
    *(f"{stage}_ms" for stage in STAGES),
)
# Never before the row above it, whichever process wrote that.
INSERT = (
    f"INSERT INTO verdict (time_ms, {', '.join(COLUMNS)}) VALUES "
    "(max(?, coalesce((SELECT time_ms FROM verdict ORDER BY id DESC LIMIT 1), 0)), "
    f"{', '.join('?' * len(COLUMNS))})"
)


@dataclass(frozen=True)
class Session:
    """What is the same for all verdicts of a run of `edgekd inspect`.

    Attributes:
        source: What is inspected: a folder, a video, a camera.
        artifact: The file that judges.
        artifact_sha256: Its hash.
        system: Such as "hkt"; None where it is not known.
        good_scores: The manifest's entry of the good images' scores, which later scores are compared with.
        station: Where it runs; None for the name of this machine.
    """

    source: str
    artifact: str
    artifact_sha256: str
    system: str | None = None
    good_scores: Mapping[str, Any] | None = None
    station: str | None = None


@dataclass(frozen=True)
class Part:
    """What a station knows of a part; None for what is not known."""

    part_id: str | None = None
    lot: str | None = None
    recipe: str | None = None
    operator: str | None = None


UNKNOWN_PART = Part()


def add_session(log: LogFile, session: Session, edgekd_version: str) -> int:
    """Adds what is the same for the verdicts that follow.

    Args:
        log: Where to.
        session: What it is.
        edgekd_version: Of the package.

    Returns:
        Its id.

    Raises:
        MachineError: The disk is full or does not answer.
    """
    row = (
        log.clock.now_ms(),
        printable(session.source),
        printable(session.artifact),
        session.artifact_sha256,
        session.system,
        None if session.good_scores is None else json.dumps(dict(session.good_scores)),
        edgekd_version,
        printable(session.station or socket.gethostname()),
    )
    columns = "time_ms, source, artifact, artifact_sha256, system, good_scores, edgekd_version, station"
    return log.insert(f"INSERT INTO session ({columns}) VALUES ({', '.join('?' * len(row))})", row)


class VerdictLog(LogFile):
    """A log that rows are added to. Use it as a context manager, or close it; one thread uses it.

    Each row is in the file when `write` returns: it outlasts the process, and with `synchronous="FULL"` a power cut.
    Other processes may read the log, or write into it, at the same time.

    Args:
        path: The file; it is made where there is none, with its folder.
        session: What is the same for all rows.
        edgekd_version: Of the package.
        synchronous: NORMAL, or FULL for a station that may lose its power: a few milliseconds a row.

    Raises:
        EdgekdError: It cannot be written, is no log of verdicts, or is of a newer version.
        MachineError: The disk is full.
    """

    def __init__(self, path: Path, session: Session, edgekd_version: str, synchronous: Synchronous = "NORMAL") -> None:
        super().__init__(path, synchronous)
        try:
            self.session_id = add_session(self, session, edgekd_version)
        except BaseException:
            self.close()
            raise

    def write(
        self,
        name: str,
        result: AnomalyResult,
        threshold: float = math.nan,
        notices: Sequence[str] = (),
        checks: Statistics | None = None,
        dropped: int = 0,
        part: Part = UNKNOWN_PART,
    ) -> int:
        """Adds a verdict; it is on record when this returns.

        Args:
            name: The frame's; any bytes that a file's name may hold.
            result: Its verdict.
            threshold: Scores above it are NG.
            notices: What the monitor reported with it.
            checks: What the checks of its image measured.
            dropped: Frames of a camera that were dropped just before it.
            part: What is known of the part.

        Returns:
            The row's id.

        Raises:
            MachineError: The disk is full or does not answer: the verdict must not be given.
        """
        text = printable(name)
        row = (
            self.clock.now_ms(),
            self.session_id,
            text,
            None if text == name else exact_bytes(name),
            *map(_text, (part.part_id, part.lot, part.recipe, part.operator)),
            result.score,  # SQLite keeps NaN as NULL.
            result.severity,
            threshold,
            result.verdict.value,
            _text(result.error),
            json.dumps([asdict(region) for region in result.regions]) if result.regions else None,
            result.more_regions,
            None if checks is None else _checks_json(checks),
            _text("; ".join(notices) or None),
            dropped,
            *(result.timings.get(stage) for stage in STAGES),
        )
        return self.insert(INSERT, row)

    def add_image(self, verdict_id: int, verdict: Verdict, kind: ImageKind, path: str, size: int) -> None:
        """Notes that an image was written.

        Args:
            verdict_id: The row that it belongs to.
            verdict: That row's.
            kind: What it shows.
            path: Relative to the log's folder, with slashes.
            size: In bytes.
        """
        row = (verdict_id, kind, path, size, self.clock.now_ms(), RANKS[verdict])
        self.insert("INSERT INTO image (verdict_id, kind, path, bytes, time_ms, rank) VALUES (?, ?, ?, ?, ?, ?)", row)

    def remove_images(self, ids: Sequence[int]) -> None:
        """Notes that images are no longer there."""
        now = self.clock.now_ms()

        def remove() -> None:
            for number in ids:
                self.execute("UPDATE image SET removed_ms = ? WHERE id = ? AND removed_ms IS NULL", (now, number))

        self.atomically(remove)

    def kept_images(self, most: int, before_ms: int | None = None) -> list[tuple[int, str, int]]:
        """The images that would have to go first: of OK parts, then of ERROR, then of NG, each the oldest first.

        Args:
            most: How many at most.
            before_ms: Only those that were written before, in milliseconds since 1970; None for all.

        Returns:
            Id, path and bytes of each.
        """
        limit = math.inf if before_ms is None else before_ms
        query = "SELECT id, path, bytes FROM image WHERE removed_ms IS NULL AND time_ms < ? ORDER BY rank, id LIMIT ?"
        return list(self.execute(query, (limit, most)))

    def count_kept_images(self) -> int:
        """How many images there are."""
        return int(self.execute("SELECT count(*) FROM image WHERE removed_ms IS NULL").fetchone()[0])

    def event(self, kind: str, text: str, count: int = 1) -> None:
        """Adds something that happened beside the verdicts.

        Args:
            kind: Such as "images_removed".
            text: One line.
            count: How often, or how many.
        """
        row = (self.clock.now_ms(), self.session_id, kind, count, printable(text))
        self.insert("INSERT INTO event (time_ms, session_id, kind, count, text) VALUES (?, ?, ?, ?, ?)", row)


def _text(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _checks_json(checks: Statistics) -> str:
    """What was measured, to six digits: all of them would be most of a row."""
    return json.dumps({name: float(f"{value:.6g}") for name, value in checks._asdict().items()})
