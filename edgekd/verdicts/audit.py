"""The audit trail: who changed what, when, from what to what and why; each entry holds the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

COLUMNS = ("id", "time_ms", "local_time", "who", "role", "address", "action", "subject", "old", "new", "why")
START = "0" * 64  # What the first entry has for the hash of the one before.
HEAD = "audit_head"  # The name of what `meta` holds of the last entry: its id and hash.


class Entry(NamedTuple):
    """An entry of the trail.

    Attributes:
        id: From 1, without gaps.
        time_ms: UTC, in milliseconds since 1970.
        local_time: The same by the clock on the wall, with its offset.
        who: A name.
        role: Of that person.
        address: Where the change came from.
        action: What was done.
        subject: To what.
        old: The value before.
        new: The value after.
        why: The reason that was given.
        previous: Hash of the entry before.
        hash: SHA-256 of all of the above.
    """

    id: int
    time_ms: int
    local_time: str
    who: str
    role: str
    address: str
    action: str
    subject: str
    old: str
    new: str
    why: str
    previous: str
    hash: str


class Trail(NamedTuple):
    """What an audit trail holds.

    Attributes:
        entries: How many.
        head: The hash of the last one; keep it elsewhere to prove later that nothing before it was changed.
        broken: What is wrong with the chain, in one line; "" where it is whole.
    """

    entries: int
    head: str
    broken: str = ""


def entry_hash(previous: str, fields: Sequence[int | str]) -> str:
    """The hash of an entry.

    Args:
        previous: Hash of the entry before.
        fields: The entry's, in the order of `COLUMNS`.
    """
    return hashlib.sha256(json.dumps([previous, *fields], separators=(",", ":")).encode()).hexdigest()


def local_time(time_ms: int) -> str:
    """A time by the clock on the wall, with its offset from UTC."""
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).astimezone().isoformat(timespec="milliseconds")


def read_trail(connection: sqlite3.Connection) -> Iterator[Entry]:
    """The entries, the oldest first."""
    query = f"SELECT {', '.join(Entry._fields)} FROM audit ORDER BY id"
    return (Entry(*row) for row in connection.execute(query))


def verify_trail(connection: sqlite3.Connection) -> Trail:
    """Whether no entry was changed, added, or removed since it was written.

    Args:
        connection: To a log.
    """
    previous, count = START, 0
    for entry in read_trail(connection):
        fields = tuple(getattr(entry, name) for name in COLUMNS)
        if entry.id != count + 1:
            return Trail(count, previous, f"entry {count + 1} is missing")
        if entry.previous != previous or entry_hash(previous, fields) != entry.hash:
            return Trail(count, previous, f"entry {entry.id} was changed")
        previous, count = entry.hash, entry.id
    row: Any = connection.execute("SELECT value FROM meta WHERE name = ?", (HEAD,)).fetchone()
    last = int(row[0].split()[0]) if row is not None else 0
    if last > count:
        return Trail(count, previous, f"entries {count + 1} to {last} are missing")
    if row is not None and row[0] != f"{count} {previous}":
        return Trail(count, previous, f"entry {count} is not the one that was written")
    return Trail(count, previous)
