"""Reads a verdict log as polars tables, while others write into it or after its writer was killed."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from edgekd.errors import EdgekdError
from edgekd.run_folder import VERDICTS_FILE
from edgekd.verdicts.log_schema import (
    APPLICATION_ID,
    BUSY_SECONDS,
    MIGRATIONS,
    log_error,
    open_for_writing,
    require_known,
)
from edgekd.verdicts.text import exact_bytes

if TYPE_CHECKING:
    import polars as pl

Read = TypeVar("Read")
ROWS_AT_ONCE = 50_000
NUMBERS = (
    *("score", "severity", "threshold", "pre_ms", "inference_ms", "post_ms", "end_to_end_ms"),
    *("acquire_ms", "check_ms", "cx", "cy"),
)
COUNTS = (
    *("id", "time_ms", "more_regions", "dropped", "session_id", "count"),
    *("acquisition_id", "job", "revision", "error_code", "triggered_ms", "published_ms", "height", "width", "area"),
    *("uncertain", "frame_id", "simulated", "self_test", "boot_id"),
)


def find_log(path: Path) -> Path:
    """The log that a path means: the file itself, or that of a folder of results.

    Raises:
        EdgekdError: There is none.
    """
    file = path / VERDICTS_FILE if path.is_dir() else path
    if file.is_file():
        return file
    expected = f"name a folder that 'edgekd inspect --out' wrote, or its {VERDICTS_FILE}"
    if path.is_dir() and (path / "verdicts.parquet").is_file():
        raise EdgekdError(f"{path} holds a verdicts.parquet of an earlier edgekd, which polars reads; {expected}")
    what = f"{path} holds no {VERDICTS_FILE}" if path.is_dir() else f"no such folder or log: {path}"
    raise EdgekdError(f"{what}: {expected}")


class LogReader:
    """A log that is open for reading. Use it as a context manager, or close it.

    Args:
        path: The file.
        any_thread: Whether other threads than this one call it too, one at a time.

    Raises:
        EdgekdError: It is no log of verdicts, is damaged, or is of a newer version.
    """

    def __init__(self, path: Path, any_thread: bool = False) -> None:
        self.path = path
        self._any_thread = any_thread
        self._cleanup = contextlib.ExitStack()
        try:
            self._connection = self._opened()
        except BaseException:
            self._cleanup.close()
            raise

    def verdicts(
        self, columns: Sequence[str], since_ms: int = 0, verdict: str | None = None, until_ms: int | None = None
    ) -> pl.DataFrame:
        """Rows of the view `verdicts`, the oldest first.

        Args:
            columns: Which.
            since_ms: Only those from then on, in milliseconds since 1970.
            verdict: Only those with this verdict; None for all.
            until_ms: Only those before, likewise; None for all.
        """
        where, values = _range(since_ms, until_ms, verdict)
        return self._table(f"SELECT {', '.join(columns)} FROM verdicts WHERE {where} ORDER BY id", columns, values)

    def last(
        self,
        columns: Sequence[str],
        count: int,
        since_ms: int = 0,
        verdict: str | None = None,
        until_ms: int | None = None,
    ) -> pl.DataFrame:
        """The last rows of the view `verdicts`, the newest first; arguments as of `verdicts`."""
        where, values = _range(since_ms, until_ms, verdict)
        values.append(count)
        query = f"SELECT {', '.join(columns)} FROM verdicts WHERE {where} ORDER BY id DESC LIMIT ?"
        return self._table(query, columns, values)

    def notices(self, count: int, since_ms: int = 0, until_ms: int | None = None) -> pl.DataFrame:
        """The last lines that the monitor reported, the newest first: time_ms, source, name, notice."""
        columns = ("time_ms", "source", "name", "notice")
        where, values = _range(since_ms, until_ms, None)
        query = f"SELECT {', '.join(columns)} FROM verdicts WHERE notice IS NOT NULL AND {where}"
        return self._table(f"{query} ORDER BY id DESC LIMIT ?", columns, [*values, count])

    def events(self, since_ms: int = 0, until_ms: int | None = None) -> pl.DataFrame:
        """What happened beside the verdicts, the oldest first: time_ms, session_id, kind, count, text."""
        columns = ("time_ms", "session_id", "kind", "count", "text")
        where, values = _range(since_ms, until_ms, None)
        return self._table(f"SELECT {', '.join(columns)} FROM event WHERE {where} ORDER BY id", columns, values)

    def kept_images(
        self, since_ms: int = 0, verdict: str | None = None, until_ms: int | None = None
    ) -> list[tuple[str, str | None]]:
        """Path and SHA-256 (None where it was not noted) of the images of some rows; arguments as of `verdicts`."""
        where, values = _range(since_ms, until_ms, verdict)
        of = f"verdict_id IN (SELECT id FROM verdict WHERE {where})"
        return self._fetch(f"SELECT path, sha256 FROM image WHERE removed_ms IS NULL AND {of} ORDER BY id", values)

    def is_of_a_station(self) -> bool:
        """Whether a station wrote into the log, whose rows have more columns."""
        return bool(self._fetch("SELECT EXISTS (SELECT 1 FROM recipe_session)")[0][0])

    def good_scores(self) -> dict[str, str]:
        """The good images' scores of the artifacts that judged, as JSON by the artifact's hash."""
        query = "SELECT artifact_sha256, good_scores FROM session WHERE good_scores IS NOT NULL ORDER BY id"
        return dict(self._fetch(query))

    def images(self) -> dict[str, int]:
        """How many images are `kept` and `removed`, and the `bytes` of those kept."""
        query = (
            "SELECT count(*) FILTER (WHERE removed_ms IS NULL), count(removed_ms), "
            "coalesce(sum(bytes) FILTER (WHERE removed_ms IS NULL), 0) FROM image"
        )
        kept, removed, size = self._fetch(query)[0]
        return {"kept": kept, "removed": removed, "bytes": size}

    def sessions(self) -> dict[str, int]:
        """How many runs wrote into the log, and how many of them are `open`: they go on, or were killed."""
        query = "SELECT count(*), count(*) FILTER (WHERE id NOT IN (SELECT session_id FROM event WHERE kind = 'ended'))"
        total, unended = self._fetch(f"{query} FROM session")[0]
        return {"total": total, "open": unended}

    def read(self, query: Callable[[sqlite3.Connection], Read]) -> Read:
        """Runs a function that reads.

        Raises:
            EdgekdError: It failed, in words.
        """
        try:
            return query(self._connection)
        except sqlite3.Error as error:
            raise log_error(self.path, error) from error

    def close(self) -> None:
        """Closes the file. Closing twice does no harm."""
        self._cleanup.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = self._connected(self.path)
        except sqlite3.OperationalError:
            # To read rows that are still in the file beside it, SQLite needs a third one, which it cannot make here:
            # the folder may not be written, or its disk is full.
            connection = self._connected(self._copy())
        except sqlite3.DatabaseError as error:
            raise log_error(self.path, error) from error
        if connection.execute("PRAGMA user_version").fetchone()[0] < len(MIGRATIONS):
            connection.close()
            open_for_writing(self.path, "NORMAL").close()  # Which brings it to this version.
            connection = self._connected(self.path)
        return connection

    def _connected(self, path: Path) -> sqlite3.Connection:
        address = f"file:{quote(exact_bytes(str(path.absolute())))}?mode=ro"
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=not self._any_thread
        )
        self._cleanup.callback(connection.close)
        version = require_known(connection, self.path)
        if version == 0 and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise EdgekdError(f"{self.path} is empty: no verdict was written into it")
        return connection

    def _copy(self) -> Path:
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory()))
        try:
            for suffix in ("", "-wal"):
                file = self.path.with_name(self.path.name + suffix)
                if suffix == "" or file.is_file():
                    shutil.copy(file, folder / f"copy{suffix}")
        except OSError as error:
            raise EdgekdError(f"cannot read {self.path}: {error.strerror or error}") from error
        return folder / "copy"

    def _fetch(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.read(lambda connection: connection.execute(query, values).fetchall())

    def _table(self, query: str, columns: Sequence[str], values: Sequence[object]) -> pl.DataFrame:
        import polars as pl

        schema = {column: _type_of(column) for column in columns}
        parts = [pl.DataFrame(schema=schema)]
        try:
            cursor = self._connection.execute(query, values)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):  # A column takes a tenth of the memory that its rows took.
                parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
        except sqlite3.Error as error:
            raise log_error(self.path, error) from error
        return pl.concat(parts)

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _range(since_ms: int, until_ms: int | None, verdict: str | None) -> tuple[str, list[object]]:
    """A condition for rows, and its values."""
    conditions: list[tuple[str, object]] = [("time_ms >= ?", since_ms)]
    if until_ms is not None:
        conditions.append(("time_ms < ?", until_ms))
    if verdict is not None:
        conditions.append(("verdict = ?", verdict))
    return " AND ".join(text for text, _ in conditions), [value for _, value in conditions]


def _type_of(column: str) -> pl.DataType:
    import polars as pl

    if column in COUNTS:
        return pl.Int64()
    if column in NUMBERS:
        return pl.Float64()
    return pl.Binary() if column == "name_bytes" else pl.String()
