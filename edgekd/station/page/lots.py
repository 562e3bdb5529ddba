"""The parts of the lot that is at a station: counted from the record once, and then as they come."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeAlias, TypedDict

from edgekd.station.json_lines import Message

MOST = 100_000  # Results among which a lot is looked for: the record holds years.
# As the counters have it: the ERROR that took the place of a late answer has a row of its own.
PUBLISHED = "NOT EXISTS (SELECT 1 FROM delivery WHERE verdict_id = verdicts.id AND how = 'late')"


class Lot(TypedDict):
    """A lot: its name, "" where parts have none, and its parts by verdict; master parts are not counted."""

    lot: str
    total: int
    ok: int
    ng: int
    error: int


Counted: TypeAlias = tuple[Lot, int]  # With the last result that was counted.


class LotCounter:
    """Counts the parts of each station's lot.

    Args:
        read: Runs a query on the record.
    """

    def __init__(self, read: Callable[[Callable[[sqlite3.Connection], Counted]], Counted]) -> None:
        self._read = read
        self._lots: dict[str, Lot] = {}
        self._counted: dict[str, int] = {}  # Results up to here are counted, whether or not they are told again.

    def of(self, station: str) -> Lot:
        """The lot at a station."""
        return self._lots.get(station) or _lot("")

    def recall(self, station: str) -> None:
        """Counts from the record.

        Raises:
            EdgekdError: It cannot be read.
        """
        self._lots[station], self._counted[station] = self._read(lambda connection: _counted(connection, station))

    def count(self, station: str, result: Message) -> None:
        """Counts another result."""
        if result["self_test"] or result["result_id"] <= self._counted.get(station, 0):
            return
        lot = self.of(station)
        if lot["lot"] != result["lot"]:
            lot = _lot(result["lot"])
        verdict = result["verdict"]
        ok, ng, error = (
            lot["ok"] + (verdict == "OK"),
            lot["ng"] + (verdict == "NG"),
            lot["error"] + (verdict == "ERROR"),
        )
        self._lots[station] = _lot(lot["lot"], ok, ng, error)


def _lot(name: str, ok: int = 0, ng: int = 0, error: int = 0) -> Lot:
    return {"lot": name, "total": ok + ng + error, "ok": ok, "ng": ng, "error": error}


def _counted(connection: sqlite3.Connection, station: str) -> Counted:
    newest = "SELECT id, coalesce(lot, '') FROM verdicts WHERE station = ? AND error_code IS NOT NULL AND self_test = 0"
    last = connection.execute(f"{newest} ORDER BY id DESC LIMIT 1", (station,)).fetchone()
    if last is None:
        return _lot(""), 0
    number, name = last
    of_lot = "station = ? AND coalesce(lot, '') = ? AND error_code IS NOT NULL AND self_test = 0 AND id > ?"
    of_lot += f" AND {PUBLISHED}"
    query = f"SELECT verdict, count(*) FROM verdicts WHERE {of_lot} GROUP BY verdict"
    counts = dict(connection.execute(query, (station, name, number - MOST)).fetchall())
    return _lot(name, counts.get("OK", 0), counts.get("NG", 0), counts.get("ERROR", 0)), int(number)
