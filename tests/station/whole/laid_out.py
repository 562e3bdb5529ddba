"""A whole station in a folder: its configuration, and the process `edgekd station` as a user starts it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0
INSPECTOR, OPC_UA = "edgekd.station.inspector.process", "opcua"


class WholeStation:
    """A station that can be started, asked to end, and killed; its record can be read meanwhile.

    Args:
        folder: For configuration, cameras and record.
        recipes: Folder of released recipes.
        names: Of its stations; each is a Modbus unit, from 1, and has a camera of its own name.
        job: That each loads at the start; None for none.
        data: Folder of the record; None for one in `folder`.
        sections: Other tables of the configuration, such as `mqtt={"host": ...}`.

    Attributes:
        log: What it writes for people.
        data: As given.
        port: Of Modbus.
    """

    def __init__(
        self,
        folder: Path,
        recipes: Path,
        names: Sequence[str] = ("top",),
        job: int | None = 1,
        data: Path | None = None,
        **sections: Mapping[str, Any],
    ) -> None:
        import tomlkit

        self.data = data or folder / "data"
        self.log = folder / "station.log"
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        stations = [{"name": name, "unit": unit, "cameras": [name]} for unit, name in enumerate(names, 1)]
        for name in names:
            self.camera(name).mkdir(parents=True)
        content: dict[str, Any] = {
            "data": str(self.data),
            "recipes": str(recipes),
            "stations": [{**station, **({} if job is None else {"job": job})} for station in stations],
            "cameras": {name: {"kind": "folder", "source": f"camera/{name}", "reconnect_s": 0.1} for name in names},
            **sections,
            "modbus": {"port": self.port, **sections.get("modbus", {})},
        }
        (folder / "station.toml").write_text(tomlkit.dumps(content))

    def camera(self, name: str = "top") -> Path:
        """The folder that a camera watches."""
        return self._folder / "camera" / name

    def start(self) -> None:
        """Starts it; a PLC that connects waits until it is there."""
        words = [sys.executable, "-m", "edgekd", "station", str(self._folder / "station.toml")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                words, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        """Of the process that answers the PLC."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def child(self, words: str = INSPECTOR) -> int | None:
        """The process id of a child by its command line; None where there is none."""
        return next((pid for pid in children(self.pid) if words in command_line(pid)), None)

    def wait_for_inspector(self, other_than: int | None = None) -> int:
        """Waits until there is an inspector, and another one than before."""
        found = until(lambda: (pid := self.child()) is not None and pid != other_than and pid)
        return int(found)

    def ask_to_end(self) -> None:
        """Sends SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Waits for its end.

        Returns:
            Its exit code; negative for a signal.
        """
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Ends it as a power cut would, without a chance to do anything, and waits until none of it is left."""
        assert self._process is not None
        family = children(self.pid)
        self._process.kill()
        self._process.wait()
        until(lambda: not any(alive(pid) for pid in family))

    def close(self) -> None:
        """Ends it, however it is."""
        if self.running:
            self.ask_to_end()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Reads the record beside its writer."""
        path = f"file:{self.data / 'verdicts.sqlite'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True, timeout=PATIENCE_S)) as database:
            return database.execute(query, values).fetchall()

    def number(self, query: str, *values: object) -> int:
        """The one number that a query gives."""
        return int(self.rows(query, *values)[0][0])

    def counted(self) -> dict[str, int]:
        """How many answers of each verdict are on record, those that came too late left out."""
        late = "SELECT verdict_id FROM delivery WHERE how = 'late'"
        return dict(self.rows(f"SELECT verdict, count(*) FROM verdict WHERE id NOT IN ({late}) GROUP BY verdict"))


@contextlib.contextmanager
def running(station: WholeStation) -> Iterator[WholeStation]:
    """A station that runs within the block."""
    station.start()
    try:
        yield station
    except BaseException:
        print(station.log.read_text()[-4000:])
        raise
    finally:
        station.close()


def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Waits until something holds, and returns it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def command_line(pid: int) -> str:
    """The words with which a process was started; "" where there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
