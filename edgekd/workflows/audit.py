"""`edgekd log --audit`: who changed what at a station, when and why, and whether the trail is whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from edgekd.verdicts.audit import Entry, read_trail, verify_trail
from edgekd.verdicts.log_reading import LogReader, find_log


@dataclass(frozen=True)
class AuditResult:
    """The audit trail of a log.

    Attributes:
        log: The file.
        entries: Those of the time that was asked for, the oldest first.
        total: How many the trail has.
        head: The hash of the last one, which stands for all of them.
        broken: What is wrong with the chain; "" where it is whole.
    """

    log: str
    entries: tuple[Entry, ...]
    total: int
    head: str
    broken: str

    def to_dict(self) -> dict[str, object]:
        """The content of `log --audit --json`."""
        return {**asdict(self), "entries": [entry._asdict() for entry in self.entries]}


def read_audit(log: str | Path, since_ms: int = 0, until_ms: int | None = None) -> AuditResult:
    """Reads the audit trail of a log, and verifies all of it.

    Args:
        log: A log, or the folder that holds it.
        since_ms: Only entries from then on, in milliseconds since 1970.
        until_ms: Only entries before, likewise; None for all.

    Raises:
        EdgekdError: There is no log, it is damaged or of a newer version.
    """
    with LogReader(find_log(Path(log))) as reader:
        trail = reader.read(verify_trail)
        entries = reader.read(lambda connection: tuple(read_trail(connection)))
        wanted = tuple(
            entry for entry in entries if since_ms <= entry.time_ms and (until_ms is None or entry.time_ms < until_ms)
        )
        return AuditResult(str(reader.path), wanted, trail.entries, trail.head, trail.broken)
