"""Who may log in: a database of its own beside the record, which the page and `edgekd users` share."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.errors import EdgekdError, MachineError
from edgekd.station.page.passwords import PasswordError, hashed, matches, require_good
from edgekd.station.page.roles import Role

FILE = Path("page/users.sqlite")  # In the data folder of the station.
BUSY_S = 5.0
VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS user (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    role TEXT NOT NULL,
    hash TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT
"""
COLUMNS = "name, role, disabled, version, changed_ms"
ADDED = "name, role, hash, version, changed_ms"
CHANGED = "role = ?, hash = coalesce(?, hash), disabled = coalesce(?, disabled), version = ?, changed_ms = ?"


class UnknownUserError(EdgekdError):
    """There is no user of this name."""


class NameTakenError(EdgekdError):
    """There is a user of this name."""

    key = "name_taken"


class LastAdminError(EdgekdError):
    """Nobody could look after users any more."""


@dataclass(frozen=True)
class Account:
    """Somebody who may log in.

    Attributes:
        name: Unique, whatever its case.
        role: What somebody is.
        disabled: Whether logging in is refused for now.
        version: Never the same twice; another one ends the sessions that were opened before.
        changed_utc_ms: When role, password or `disabled` were changed last.
    """

    name: str
    role: Role
    disabled: bool
    version: int
    changed_utc_ms: int


class Users:
    """The users of a station. Any thread may call it, and several processes may share the file.

    Args:
        path: The database; it is made where there is none, for the owner of the data folder alone.

    Raises:
        MachineError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._nobody = ""  # A hash to compare with where there is no such user.
        try:
            _make(path)
            self._database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise MachineError(f"{path} cannot be opened: {error}") from error
        with self._transaction() as database:
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
            if version > VERSION:
                raise EdgekdError(f"{path} is of a newer edgekd: install that")
            database.execute(SCHEMA)
            database.execute(f"PRAGMA user_version = {VERSION}")

    def all(self) -> tuple[Account, ...]:
        """Everybody, by name."""
        return tuple(_account(row) for row in self._rows(f"SELECT {COLUMNS} FROM user ORDER BY name"))

    def is_empty(self) -> bool:
        """Whether there is nobody yet: the first is added on the machine itself, by `edgekd users add`."""
        return not self._rows("SELECT 1 FROM user LIMIT 1")

    def find(self, name: str) -> Account | None:
        """A user by name, whatever its case; None where there is none."""
        rows = self._rows(f"SELECT {COLUMNS} FROM user WHERE name = ?", name)
        return _account(rows[0]) if rows else None

    def verified(self, name: str, password: str) -> Account | None:
        """The user who has this password; None for a wrong one, for nobody, and for somebody who is disabled.

        Takes the same time whether there is such a user or not.

        Args:
            name: Of the user.
            password: In plain text.
        """
        rows = self._rows(f"SELECT {COLUMNS}, hash FROM user WHERE name = ?", name)
        if not rows:
            self._nobody = self._nobody or hashed(os.urandom(16).hex())
            matches(password, self._nobody)
            return None
        *columns, kept = rows[0]
        account = _account(columns)
        return account if matches(password, kept) and not account.disabled else None

    def add(self, name: str, role: Role, password: str, *, trial: bool = False) -> None:
        """Adds a user.

        Args:
            name: `edgekd.station.recipes.Name`.
            role: What the user is.
            password: In plain text; see `edgekd.station.page.passwords.require_good`.
            trial: Whether only to check that it could be done.

        Raises:
            NameTakenError: There is one of this name.
            PasswordError: The password is too simple.
        """
        require_good(password, role, name)
        values = (name, role.value, "" if trial else hashed(password), _version(), _now_ms())
        with self._transaction(trial) as database:
            try:
                database.execute(f"INSERT INTO user ({ADDED}) VALUES (?, ?, ?, ?, ?)", values)
            except sqlite3.IntegrityError:
                raise NameTakenError(f"there is a user {name} already: choose another name") from None

    def change(
        self,
        name: str,
        *,
        role: Role | None = None,
        password: str | None = None,
        disabled: bool | None = None,
        trial: bool = False,
    ) -> None:
        """Changes a user; whoever is logged in under this name is logged out.

        Args:
            name: Of the user.
            role: The new role; None leaves it. Likewise the others.
            password: In plain text. An operator who becomes something else needs a new one, since a PIN is not enough.
            disabled: Whether logging in is refused.
            trial: Whether only to check that it could be done.

        Raises:
            UnknownUserError: There is none of this name.
            LastAdminError: It would leave no admin who can log in.
            PasswordError: The password is too simple.
        """
        before = self.find(name)
        if before is None:
            raise _unknown(name)
        after = role or before.role
        if password is not None:
            require_good(password, after, before.name)
        elif before.role is Role.OPERATOR and after is not Role.OPERATOR:
            text = f"a new password is needed with the role {after.value}: a PIN is for operators only"
            raise PasswordError(text, "password_needed")
        kept = None if password is None or trial else hashed(password)
        with self._transaction(trial) as database:
            values = (after.value, kept, disabled, _version(), _now_ms(), name)
            changed = database.execute(f"UPDATE user SET {CHANGED} WHERE name = ?", values)
            if not changed.rowcount:
                raise _unknown(name)
            if before.role is Role.ADMIN:
                _require_admin(database)

    def remove(self, name: str, *, trial: bool = False) -> None:
        """Removes a user; what is on record under the name stays.

        Args:
            name: Of the user.
            trial: Whether only to check that it could be done.

        Raises:
            UnknownUserError: There is none of this name.
            LastAdminError: It would leave no admin who can log in.
        """
        with self._transaction(trial) as database:
            found = database.execute("SELECT role FROM user WHERE name = ?", (name,)).fetchone()
            if found is None:
                raise _unknown(name)
            database.execute("DELETE FROM user WHERE name = ?", (name,))
            if found[0] == Role.ADMIN.value:
                _require_admin(database)

    def close(self) -> None:
        """Closes the file. Closing twice does no harm."""
        with self._lock:
            self._database.close()

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._lock, self._errors_in_words():
            return self._database.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self, trial: bool = False) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing; nothing in any case where it is a trial."""
        with self._lock, self._errors_in_words():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("ROLLBACK" if trial else "COMMIT")

    @contextlib.contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise MachineError(f"{self._path} cannot be used: {error}") from error


def _make(path: Path) -> None:
    """Makes the file where there is none. Root makes it for the station's own user."""
    if path.exists():
        return
    data = path.parent.parent
    data.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = data.stat()
        for each in (path.parent, path):
            os.chown(each, owner.st_uid, owner.st_gid)


def _unknown(name: str) -> UnknownUserError:
    return UnknownUserError(f"there is no user {name}")


def _require_admin(database: sqlite3.Connection) -> None:
    query = "SELECT 1 FROM user WHERE role = ? AND NOT disabled"
    if database.execute(query, (Role.ADMIN.value,)).fetchone() is None:
        raise LastAdminError("this is the last admin: make somebody else an admin first")


def _account(row: Sequence[Any]) -> Account:
    name, role, disabled, version, changed_ms = row
    return Account(name, Role(role), bool(disabled), version, changed_ms)


def _version() -> int:
    return int.from_bytes(os.urandom(6), "big")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
