"""`edgekd log`: what a log of verdicts holds: yield by hour and source, times, drift of the scores, the last NG."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.errors import EdgekdError
from edgekd.profiling.timing import summarise
from edgekd.verdicts.log import STAGES
from edgekd.verdicts.log_export import export_log, require_known_suffix
from edgekd.verdicts.log_reading import LogReader, find_log
from edgekd.verdicts.monitor import score_monitor
from edgekd.workflows.calling import takes_options

if TYPE_CHECKING:
    import polars as pl

Listed = Literal["OK", "NG", "ERROR"]
HOUR_MS = 3_600_000
LISTED = 10  # Verdicts, and events.
REPLAYED = 10_000  # The last verdicts of an artifact on a source, which the monitor looks at again.
UNITS = {"s": "seconds", "min": "minutes", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
READ = (
    *("time_ms", "source", "verdict", "score", "severity", "artifact_sha256", "delivered"),
    *(f"{stage}_ms" for stage in STAGES),
)
ROW = (
    *("time_ms", "source", "name", "verdict", "score", "severity", "threshold", "error", "heat_map", "original"),
    *("part_id", "serial", "lot", "recipe", "revision", "operator", "error_code", "delivered", "simulated"),
)
LATE = "late"  # What came too late was never published, and another answer stands for that part.


@dataclass(frozen=True)
class LogOptions:
    """Options of `log`.

    Attributes:
        log: A log of verdicts, or the folder that `edgekd inspect --out` wrote it into.
        since: Only verdicts from then on: a time such as "2026-03-01T14:00" (of this machine's time zone, where it
            names none), or how long ago, such as "2h"; None for all.
        until: Only verdicts before; likewise.
        verdict: Verdicts that are listed and exported; None to list NG and to export all.
        export: Write the verdicts into this file: .parquet or .csv for a table, .zip for tables, images, audit trail
            and digests; None for none.
    """

    log: str | Path
    since: str | datetime | None = None
    until: str | datetime | None = None
    verdict: Listed | None = None
    export: str | Path | None = None


@dataclass(frozen=True)
class LogResult:
    """What a log holds. Times are in UTC, as ISO 8601.

    Attributes:
        log: The file.
        first, last: Times of the first and the last verdict; None where there are none.
        verdicts: How many parts got each verdict.
        good_share: The share of all parts that are OK, ERROR counted as not; None where there are none.
        by_hour: For each hour and source `hour`, `source`, `OK`, `NG`, `ERROR`, `good_share`, `median_score`,
            `median_severity`.
        latency_ms: By stage: min, mean, median, p90, p95, p99.
        drift: For each artifact and source `source`, `artifact_sha256`, `good_median` (of the good images it was
            exported with), `first_median` and `last_median` of the scores of its first and last hour, and `notices`:
            what the monitor finds in the last verdicts.
        listed: The last verdicts of the kind that was asked for, the newest first.
        notices: The last lines that the monitor reported while it ran: `time`, `source`, `name`, `notice`; the newest
            first.
        events: What happened besides, such as removed images; the newest first.
        images: How many images are `kept` and `removed`, and the `bytes` of those kept.
        sessions: How many runs wrote into the log, in `total`, and how many are `open`: they go on, or were killed.
        exported: How many verdicts were exported; None where none should be.
        exported_images: How many images were.
        missing_images: Images that are on record and could not be exported.
        altered_images: Exported images that are not the ones that were written.
    """

    log: str
    first: str | None
    last: str | None
    verdicts: dict[str, int]
    good_share: float | None
    by_hour: list[dict[str, Any]]
    latency_ms: dict[str, dict[str, float]]
    drift: list[dict[str, Any]]
    listed: list[dict[str, Any]]
    notices: list[dict[str, Any]]
    events: list[dict[str, Any]]
    images: dict[str, int]
    sessions: dict[str, int]
    exported: int | None = None
    exported_images: int = 0
    missing_images: tuple[str, ...] = ()
    altered_images: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The content of `log --json`."""
        return asdict(self)


@takes_options(LogOptions)
def log(options: LogOptions) -> LogResult:
    """Reads a log of verdicts; an inspection may go on writing into it meanwhile.

    Args: the fields of `LogOptions`, as keywords.

    Returns:
        What it holds.

    Raises:
        EdgekdError: There is no log, it is damaged or of a newer version, or the export cannot be written.
    """
    since_ms = 0 if options.since is None else start_ms(options.since)
    until_ms = None if options.until is None else start_ms(options.until)
    export = Path(options.export) if options.export is not None else None
    if export is not None:
        require_known_suffix(export)
    with LogReader(find_log(Path(options.log))) as reader:
        rows = reader.verdicts(READ, since_ms, until_ms=until_ms)
        rows = rows.filter(rows["delivered"].ne_missing(LATE))
        exported = export_log(reader, export, since_ms, options.verdict, until_ms) if export is not None else None
        counts = dict(rows["verdict"].value_counts().iter_rows())
        verdicts = {name: counts.get(name, 0) for name in ("OK", "NG", "ERROR")}
        return LogResult(
            log=str(reader.path),
            first=_iso(rows["time_ms"][0]) if rows.height else None,
            last=_iso(rows["time_ms"][-1]) if rows.height else None,
            verdicts=verdicts,
            good_share=verdicts["OK"] / rows.height if rows.height else None,
            by_hour=_by_hour(rows),
            latency_ms=_latency(rows),
            drift=_drift(rows, reader.good_scores()),
            listed=_with_times(reader.last(ROW, LISTED, since_ms, options.verdict or "NG", until_ms)),
            notices=_with_times(reader.notices(LISTED, since_ms, until_ms)),
            events=_with_times(reader.events(since_ms, until_ms))[: -LISTED - 1 : -1],
            images=reader.images(),
            sessions=reader.sessions(),
            exported=None if exported is None else exported.verdicts,
            exported_images=0 if exported is None else exported.images,
            missing_images=() if exported is None else exported.missing,
            altered_images=() if exported is None else exported.altered,
        )


def start_ms(since: str | datetime, now: datetime | None = None) -> int:
    """The time that --since means, in milliseconds since 1970.

    Args:
        since: A time, or how long ago; see `LogOptions`.
        now: For tests.

    Raises:
        EdgekdError: It is neither.
    """
    moment = _parsed(since.strip(), now or datetime.now(timezone.utc)) if isinstance(since, str) else since
    try:
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:  # In UTC it is beyond the years 1 to 9999.
        raise _unknown_time(str(since)) from error


def _parsed(since: str, now: datetime) -> datetime:
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", since.lower())
    try:
        if ago is not None:
            return now - timedelta(**{UNITS[ago[2]]: float(ago[1])})
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", since))
    except (KeyError, ValueError, OverflowError) as error:
        raise _unknown_time(since) from error


def _unknown_time(text: str) -> EdgekdError:
    units = ", ".join(UNITS)
    return EdgekdError(f"'{text}' is not a time: expected one such as 2026-03-01T14:00, or how long ago in {units}: 2h")


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).isoformat(timespec="milliseconds")


def _with_times(table: pl.DataFrame) -> list[dict[str, Any]]:
    return [{"time": _iso(row.pop("time_ms")), **row} for row in table.to_dicts()]


def _by_hour(rows: pl.DataFrame) -> list[dict[str, Any]]:
    import polars as pl

    hours = rows.with_columns(hour_ms=pl.col("time_ms") // HOUR_MS * HOUR_MS)
    counts = [(pl.col("verdict") == name).sum().alias(name) for name in ("OK", "NG", "ERROR")]
    medians = [pl.col(name).median().alias(f"median_{name}") for name in ("score", "severity")]
    grouped = hours.group_by("hour_ms", "source").agg(*counts, *medians).sort("hour_ms", "source")
    with_share = grouped.with_columns(good_share=pl.col("OK") / (pl.col("OK") + pl.col("NG") + pl.col("ERROR")))
    return [{"hour": _iso(row.pop("hour_ms")), **row} for row in with_share.to_dicts()]


def _latency(rows: pl.DataFrame) -> dict[str, dict[str, float]]:
    times = {stage: rows[f"{stage}_ms"].drop_nulls().to_list() for stage in STAGES}
    return {stage: summarise(values) for stage, values in times.items() if values}


def _drift(rows: pl.DataFrame, good_scores: Mapping[str, str]) -> list[dict[str, Any]]:
    """Whether the scores of each artifact on each source are still where those of the good images were."""
    import polars as pl

    found = []
    clean = rows.filter((pl.col("verdict") != "ERROR") & pl.col("score").is_not_null())
    for (source, digest), of in clean.group_by("source", "artifact_sha256", maintain_order=True):
        times = of["time_ms"]
        good = json.loads(good_scores.get(str(digest), "null"))
        found.append(
            {
                "source": source,
                "artifact_sha256": digest,
                "good_median": _good_median(good),
                "first_median": of.filter(times < times[0] + HOUR_MS)["score"].median(),
                "last_median": of.filter(times > times[-1] - HOUR_MS)["score"].median(),
                "notices": _moves(of.tail(REPLAYED), good),
            }
        )
    return found


def _good_median(good: Mapping[str, Any] | None) -> float | None:
    quantiles = (good or {}).get("quantiles") or []
    return min(quantiles, key=lambda pair: abs(pair[0] - 0.5))[1] if quantiles else None


def _moves(rows: pl.DataFrame, good: Mapping[str, Any] | None) -> list[str]:
    """What the monitor reports of scores, as it would have if one inspection had seen them all."""
    monitor = score_monitor(good, (good or {}).get("held_out"))
    if monitor is None:
        return []
    said = []
    for time_ms, score in rows.select("time_ms", "score").iter_rows():
        if (line := monitor.add(score, "", _local(time_ms))) is not None:
            said.append(line)
    return said


def _local(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000)
