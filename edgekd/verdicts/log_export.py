"""Writes the rows of a verdict log as a table for other programs: Parquet or CSV."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.artifact import write_beside
from edgekd.errors import EdgekdError
from edgekd.verdicts.log import STAGES
from edgekd.verdicts.log_reading import LogReader

SUFFIXES = (".parquet", ".csv")
COLUMNS = (
    *("id", "time_ms", "source", "name", "name_bytes", "part_id", "lot", "recipe", "operator", "score", "severity"),
    *("threshold", "verdict", "error", "regions", "more_regions", "checks", "notice", "dropped"),
    *(f"{stage}_ms" for stage in STAGES),
    *("heat_map", "original", "artifact", "artifact_sha256", "system", "edgekd_version", "station", "session_id"),
)


def require_known_suffix(path: Path) -> None:
    """Refuses a file that is neither Parquet nor CSV by its name.

    Raises:
        EdgekdError: It is neither.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise EdgekdError(f"cannot export to {path}: its name must end in {' or '.join(SUFFIXES)}")


def export_log(log: LogReader, path: Path, since_ms: int = 0, verdict: str | None = None) -> int:
    """Writes rows as a table, completely or not at all.

    Args:
        log: Where they are.
        path: Ends in .parquet or .csv.
        since_ms: Only those from then on, in milliseconds since 1970.
        verdict: Only those with this verdict; None for all.

    Returns:
        How many.

    Raises:
        EdgekdError: It cannot be written.
        MachineError: The disk is full.
    """
    import polars as pl

    require_known_suffix(path)
    table = log.verdicts(COLUMNS, since_ms, verdict)
    time = pl.from_epoch("time_ms", time_unit="ms").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").alias("time")
    table = table.with_columns(time).drop("time_ms").select("id", "time", pl.exclude("id", "time"))
    with write_beside(path) as part, _writes():
        if path.suffix.lower() == ".csv":
            table.drop("name_bytes").write_csv(part, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")
        else:
            table.write_parquet(part)
    return table.height


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
