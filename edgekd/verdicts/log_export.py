"""Writes the rows of a verdict log for other programs: a table, or an archive that holds their images too."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.artifact import write_beside
from edgekd.errors import EdgekdError
from edgekd.verdicts.audit import Entry, read_trail
from edgekd.verdicts.log import STAGES
from edgekd.verdicts.log_reading import LogReader

if TYPE_CHECKING:
    import polars as pl

ARCHIVE = ".zip"
SUFFIXES = (".parquet", ".csv", ARCHIVE)
DIGESTS_FILE = "SHA256SUMS"  # As sha256sum --check reads it.
COLUMNS = (
    *("id", "time_ms", "source", "name", "name_bytes", "part_id", "lot", "recipe", "operator", "score", "severity"),
    *("threshold", "verdict", "error", "regions", "more_regions", "checks", "notice", "dropped"),
    *(f"{stage}_ms" for stage in STAGES),
    *("heat_map", "original", "artifact", "artifact_sha256", "system", "edgekd_version", "station", "session_id"),
)
# What a station adds.
STATION_COLUMNS = (
    *("serial", "acquisition_id", "job", "revision", "recipe_digest", "error_code", "trigger_source", "triggered_ms"),
    *("published_ms", "acquire_ms", "check_ms", "height", "width", "area", "cx", "cy", "uncertain", "camera"),
    *("frame_id", "simulated", "self_test", "boot_id", "delivered"),
)


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        verdicts: How many.
        images: How many, into an archive.
        missing: Images that are on record and cannot be read.
        altered: Images that are not the ones that were written; they are in the archive.
    """

    verdicts: int
    images: int = 0
    missing: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()


def require_known_suffix(path: Path) -> None:
    """Refuses a file that is neither Parquet nor CSV nor an archive by its name.

    Raises:
        EdgekdError: It is none of them.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise EdgekdError(f"cannot export to {path}: its name must end in {' or '.join(SUFFIXES)}")


def export_log(
    log: LogReader, path: Path, since_ms: int = 0, verdict: str | None = None, until_ms: int | None = None
) -> Exported:
    """Writes rows, completely or not at all.

    Args:
        log: Where they are.
        path: Ends in .parquet or .csv for a table; in .zip for both, the images, the audit trail and their digests.
        since_ms: Only rows from then on, in milliseconds since 1970.
        verdict: Only those with this verdict; None for all.
        until_ms: Only those before, likewise; None for all.

    Returns:
        What was written.

    Raises:
        EdgekdError: It cannot be written.
        MachineError: The disk is full.
    """
    import polars as pl

    require_known_suffix(path)
    columns = (*COLUMNS, *STATION_COLUMNS) if log.is_of_a_station() else COLUMNS
    table = log.verdicts(columns, since_ms, verdict, until_ms)
    time = pl.from_epoch("time_ms", time_unit="ms").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").alias("time")
    table = table.with_columns(time).drop("time_ms").select("id", "time", pl.exclude("id", "time"))
    with write_beside(path) as part, _writes():
        if path.suffix.lower() != ARCHIVE:
            _write_table(table, part, path.suffix)
            return Exported(table.height)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            digests = _add_tables(archive, table, log)
            images = log.kept_images(since_ms, verdict, until_ms)
            exported = _add_images(archive, log.path.parent, images, digests, table.height)
            lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
            archive.writestr(DIGESTS_FILE, lines)
    return exported


def _write_table(table: pl.DataFrame, path: Path, suffix: str) -> None:
    if suffix.lower() == ".csv":
        table.drop("name_bytes").write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")
    else:
        table.write_parquet(path)


def _add_tables(archive: zipfile.ZipFile, table: pl.DataFrame, log: LogReader) -> dict[str, str]:
    """Adds the rows as both tables, and the audit trail where there is one.

    Returns:
        The digests of what was added, by its name.
    """
    contents = {}
    if entries := log.read(lambda connection: list(read_trail(connection))):
        trail = io.StringIO()
        csv.writer(trail).writerows((Entry._fields, *entries))
        contents["audit.csv"] = trail.getvalue().encode()
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".parquet"):
            file = Path(folder) / f"verdicts{suffix}"
            _write_table(table, file, suffix)
            contents[file.name] = file.read_bytes()
    for name, content in contents.items():
        archive.writestr(name, content)
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _add_images(
    archive: zipfile.ZipFile, folder: Path, images: list[tuple[str, str | None]], digests: dict[str, str], height: int
) -> Exported:
    missing, altered = [], []
    for name, expected in images:
        file = folder / name
        try:
            if not file.resolve().is_relative_to(folder.resolve()):
                raise FileNotFoundError
            content = file.read_bytes()
        except OSError:
            missing.append(name)
            continue
        archive.writestr(name, content, zipfile.ZIP_STORED)  # PNG and JPEG are compressed already.
        digests[name] = hashlib.sha256(content).hexdigest()
        if expected is not None and expected != digests[name]:
            altered.append(name)
    return Exported(height, len(images) - len(missing), tuple(missing), tuple(altered))


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
