"""The one writer of a station's record."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Verdict
from edgekd.station.events import AlarmChanged, Event, RecipeChanged, SelfTestEnded
from edgekd.station.parts import Acquisition, Inspected, Outcome
from edgekd.station.ports import DEFAULT_KEEP, StoredImage
from edgekd.station.recipes import Keep
from edgekd.station.record import counting, rows
from edgekd.station.snapshot import Counters, Loaded
from edgekd.verdicts import audit
from edgekd.verdicts.log import RANKS, Session, add_session
from edgekd.verdicts.log_file import LogFile
from edgekd.verdicts.text import printable

DAY_MS = 86_400_000
LAST_MS = 2**63 - 1  # The largest number that SQLite holds: an image without a row would never be removed.
CLEAN_STOP = "last_clean_stop"  # The name of what `meta` holds of it: the boot that ended so.
Made = TypeVar("Made")


class Record:
    """Puts what happens at the stations of one process on record; `edgekd.station.record.opening` makes it.

    What a call wrote has outlasted a power cut when it returns. Called from one thread; several stations share it, and
    so their result ids rise together.

    Args:
        log: The database, open with full synchronisation.
        boot_id: Rises by one with each start.
        edgekd_version: Of the package.

    Attributes:
        log: The database.
        boot_id: Of this start.
        operator: Who is at the line; on each row from then on.
    """

    def __init__(self, log: LogFile, boot_id: int, edgekd_version: str) -> None:
        self.log, self.boot_id, self.operator = log, boot_id, ""
        self._version = edgekd_version
        self._sessions: dict[tuple[str, Loaded], int] = {}
        self._loaded: dict[str, Loaded] = {}

    def begin(self, acquisition: Acquisition, recipe: Loaded) -> None:
        """Puts a trigger on record, so that its part is an ERROR if the station dies before it is judged.

        Raises:
            MachineError: It cannot be written.
        """

        def add() -> None:
            session = self._session(acquisition.station, recipe)
            row = rows.acquisition_row(acquisition, session, self.log.clock.now_ms())
            self.log.insert(rows.INSERT_ACQUISITION, row)

        self._durably(add)

    def write(self, outcome: Outcome) -> None:
        """Puts an answer on record.

        Raises:
            MachineError: It cannot be written.
            RuntimeError: There is an answer with this id, or to this part, which must not be.
        """

        def add() -> None:
            recipe = self._loaded.get(outcome.recipe_digest) or Loaded(
                outcome.job, outcome.recipe_id, outcome.revision, outcome.recipe_digest
            )
            session = self._session(outcome.station, recipe)
            self.log.atomically(lambda: add_answer(self.log, outcome, session, self.operator))

        self._durably(add)

    def deliver(self, result_id: int, how: str) -> None:
        """Puts on record what became of an answer: acked, unread, late.

        Raises:
            MachineError: It cannot be written.
        """
        self._durably(lambda: add_delivery(self.log, result_id, how))

    def late(self, result_id: int, inspected: Inspected) -> None:
        """Keeps what the inspector said of a part after its ERROR was published under this result id.

        Raises:
            MachineError: It cannot be written.
        """
        columns = "time_ms, verdict_id, score, severity, threshold, error_code, error"
        row = rows.late_row(result_id, inspected, self.log.clock.now_ms())
        self._add(f"INSERT INTO late ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def stored(self, image: StoredImage, keep: Keep = DEFAULT_KEEP) -> None:
        """Puts a stored image on record, beside its answer.

        Args:
            image: What was written.
            keep: Of the recipe: for how long.

        Raises:
            MachineError: It cannot be written.
        """

        def add() -> None:
            found = self.log.execute("SELECT verdict FROM verdict WHERE id = ?", (image.result_id,)).fetchone()
            verdict = Verdict(found[0]) if found else Verdict.ERROR
            days = {Verdict.OK: keep.ok_days, Verdict.NG: keep.ng_days, Verdict.ERROR: keep.error_days}[verdict]
            now = self.log.clock.now_ms()
            columns = "verdict_id, kind, path, bytes, time_ms, rank, sha256, expires_ms"
            row = (image.result_id, image.kind, image.path, image.bytes, now, RANKS[verdict], image.sha256)
            values = (*row, int(min(now + days * DAY_MS, LAST_MS)))
            self.log.insert(f"INSERT INTO image ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

        self._durably(add)

    def note(self, event: Event, station: str = "") -> None:
        """Puts alarms and self-tests of a station on record; what else happened is on record otherwise.

        Raises:
            MachineError: It cannot be written.
        """
        now = self.log.clock.now_ms()
        if isinstance(event, AlarmChanged):
            alarm = event.alarm
            columns = "time_ms, station, code, text, raised_ms, fatal, active, acknowledged_by"
            values = (alarm.since_utc_ms, alarm.fatal, alarm.active, printable(alarm.acknowledged_by))
            row = (now, station, int(alarm.code), printable(alarm.text), *values)
            self._add(f"INSERT INTO alarm ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        elif isinstance(event, SelfTestEnded):
            session = next((number for (name, _), number in reversed(self._sessions.items()) if name == station), None)
            columns = "time_ms, station, session_id, kind, passed, text"
            test = (now, station, session, event.kind, event.passed, printable(event.text))
            self._add(f"INSERT INTO selftest ({columns}) VALUES (?, ?, ?, ?, ?, ?)", test)
        elif isinstance(event, RecipeChanged) and event.recipe is not None:
            recipe = event.recipe
            self._durably(lambda: self._session(station, recipe))

    def audit(self, who: str, role: str, address: str, action: str, subject: str, old: str, new: str, why: str) -> None:
        """Puts a change on record, chained to the one before it.

        Args:
            who: A name.
            role: Of that person.
            address: Where the change came from.
            action: What was done, such as "release".
            subject: To what.
            old: The value before.
            new: The value after.
            why: The reason that was given.

        Raises:
            MachineError: It cannot be written.
        """
        words = tuple(printable(text) for text in (who, role, address, action, subject, old, new, why))
        self._durably(lambda: add_audit(self.log, words))

    def review(self, result_id: int, who: str, label: str, note: str = "") -> None:
        """Puts on record what a person found a part to be, "good" or "bad"; its verdict stays.

        Raises:
            MachineError: It cannot be written.
        """
        row = (self.log.clock.now_ms(), result_id, printable(who), label, printable(note))
        self._add("INSERT INTO review (time_ms, verdict_id, who, label, note) VALUES (?, ?, ?, ?, ?)", row)

    def hold(self, result_id: int, who: str, why: str, held: bool = True) -> None:
        """Keeps the row and the images of an answer whatever their age and the room on the disk, or no longer.

        Raises:
            MachineError: It cannot be written.
        """
        row = (self.log.clock.now_ms(), result_id, printable(who), printable(why), held)
        self._add("INSERT INTO hold (time_ms, verdict_id, who, why, held) VALUES (?, ?, ?, ?, ?)", row)

    def last_numbers(self) -> tuple[int, int]:
        """The highest result id and acquisition id on record; 0 for none."""
        result = self.log.execute("SELECT coalesce(max(id), 0) FROM verdict").fetchone()[0]
        return int(result), int(self.log.execute("SELECT coalesce(max(id), 0) FROM acquisition").fetchone()[0])

    def counters(self, station: str) -> Counters:
        """A station's counters, counted from its published answers since the last reset, those of self-tests left out.

        `missed` are those with the codes 401 to 403; they are errors too, but break and make no row of errors.
        """
        return counting.counters_of(self.log, station)

    def reset_counters(self, station: str, since_utc_ms: int) -> None:
        """Counts from here.

        Raises:
            MachineError: It cannot be written.
        """
        self._durably(lambda: counting.reset(self.log, station, since_utc_ms))

    def save_counters(self) -> None:
        """Saves all counters, so that the next start has few answers to count.

        Raises:
            MachineError: It cannot be written.
        """
        self._durably(lambda: counting.save_all(self.log))

    def checkpoint(self) -> None:
        """Moves the rows of the write-ahead file into the database, some tens of milliseconds that no answer pays."""
        with contextlib.suppress(EdgekdError):  # Somebody reads: the next time.
            self.log.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Ends the record cleanly. Closing twice does no harm."""

        def end() -> None:
            counting.save_all(self.log)
            for number in self._sessions.values():
                add_event(self.log, number, "ended", "ended")
            set_meta(self.log, CLEAN_STOP, str(self.boot_id))

        with contextlib.suppress(
            EdgekdError, sqlite3.Error
        ):  # On a full disk the next start takes it for a crash, and loses nothing.
            end()
        self._sessions.clear()
        self.log.close()

    def _session(self, station: str, recipe: Loaded) -> int:
        """What is the same for the answers of a recipe at a station since this start."""
        key = station, recipe
        if key not in self._sessions:
            self._sessions[key] = self.log.atomically(lambda: self._add_session(station, recipe))
            self._loaded[recipe.digest] = recipe
        return self._sessions[key]

    def _add_session(self, station: str, recipe: Loaded) -> int:
        session = Session(station, recipe.artifact, recipe.artifact_sha256, recipe.system or None, None, station)
        number = add_session(self.log, session, self._version)
        columns = "id, station, boot_id, job, recipe, revision, digest, product"
        words = (printable(recipe.recipe_id), recipe.revision, recipe.digest, printable(recipe.product))
        row = (number, station, self.boot_id, recipe.job, *words)
        self.log.execute(f"INSERT INTO recipe_session ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return number

    def _add(self, statement: str, row: tuple[object, ...]) -> None:
        self._durably(lambda: self.log.insert(statement, row))

    def _durably(self, work: Callable[[], Made]) -> Made:
        """Whatever the reason is that a row cannot be written: the machine failed, and not somebody's input.

        A row that contradicts what is on record, such as a second answer, is a fault of ours that no waiting mends.
        """
        try:
            return work()
        except MachineError:
            raise
        except (EdgekdError, sqlite3.Error) as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                raise RuntimeError(str(error)) from error
            raise MachineError(str(error)) from error


def add_answer(log: LogFile, outcome: Outcome, session_id: int, operator: str = "") -> None:
    """Adds the two rows of an answer; within a transaction."""
    log.execute(rows.INSERT_VERDICT, rows.verdict_row(outcome, session_id, operator, log.clock.now_ms()))
    log.execute(rows.INSERT_RESULT, rows.result_row(outcome))


def add_delivery(log: LogFile, result_id: int, how: str) -> None:
    """Adds what became of an answer."""
    row = (log.clock.now_ms(), result_id, how)
    log.insert("INSERT INTO delivery (time_ms, verdict_id, how) VALUES (?, ?, ?)", row)


def add_event(log: LogFile, session_id: int | None, kind: str, text: str, count: int = 1) -> None:
    """Adds something that happened beside the answers."""
    row = (log.clock.now_ms(), session_id, kind, count, printable(text))
    log.insert("INSERT INTO event (time_ms, session_id, kind, count, text) VALUES (?, ?, ?, ?, ?)", row)


def set_meta(log: LogFile, name: str, value: str) -> None:
    """Sets an entry of `meta`."""
    log.insert("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value))


def add_audit(log: LogFile, words: tuple[str, ...]) -> None:
    """Adds an entry to the audit trail, with the hash of the last one in it.

    Args:
        log: Where to.
        words: Who, role, address, action, subject, old, new, why.
    """

    def add() -> None:
        last = log.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        number, previous = (0, audit.START) if last is None else last
        now = log.clock.now_ms()
        fields = (number + 1, now, audit.local_time(now), *words)
        digest = audit.entry_hash(previous, fields)
        row = (*fields, previous, digest)
        names = ", ".join(audit.Entry._fields)
        log.execute(f"INSERT INTO audit ({names}) VALUES ({', '.join('?' * len(row))})", row)
        set_meta(log, audit.HEAD, f"{number + 1} {digest}")

    log.atomically(add)
