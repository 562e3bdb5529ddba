"""What the page and the process that does the long work tell each other, in files: so that either may end and return.

The page writes `order.json` and starts the process, which holds a lock as long as it lives and writes `state.json` and
`progress.jsonl`. The lock, not a process number, tells whether it still works. Of a process that ended before its time
the page writes there how.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from edgekd.artifact import json_text, write_beside, write_json
from edgekd.errors import ArtifactError
from edgekd.json_files import read_object

Kind = Literal["train", "threshold", "try", "recipe", "compare"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STEPS: Mapping[Kind, tuple[str, ...]] = {
    "train": ("images", "training", "float", "int8", "drift", "tries"),
    "threshold": ("threshold", "tries"),
    "try": ("tries",),
    "recipe": ("recipe",),
    "compare": ("comparison",),
}
FINAL = ("done", "failed", "stopped")
MOST_POINTS, MOST_LINES = 600, 200  # Of curve and log that the page shows.


@dataclass(frozen=True)
class Order:
    """Work that somebody asked for.

    Attributes:
        id: Milliseconds since 1970 when it was ordered.
        kind: What to do.
        number: Of the run.
        by: Who asked.
        options: Of the kind.
    """

    id: int
    kind: Kind
    number: int
    by: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Step:
    """A step of the work.

    Attributes:
        name: One of STEPS.
        state: How far it is.
        text: What came of it, in English.
        figures: In that text, by their names: the page has sentences of its own.
    """

    name: str
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    text: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def came_to(self, text: str, **figures: Any) -> None:
        """Tells what came of it."""
        self.text, self.figures = text, figures


@dataclass(frozen=True)
class Ending:
    """How a process ended before its time.

    Attributes:
        code: "killed" by SIGKILL, as a system does that runs out of memory; another "signal"; or "exit".
        number: Of the signal, or the exit code.
        text: Both, in English.
    """

    code: Literal["killed", "signal", "exit"]
    number: int
    text: str


@dataclass
class State:
    """How far the work is; the process writes it.

    Attributes:
        order: Whose, by its id.
        state: "running" also where the process ended before its time.
        steps: In their order.
        elapsed_s: That were worked, all sessions together.
        left_s: That the running step still takes; None where that is not known.
        done, total: Units of the running step.
        pid: Of the process.
        ended_utc_ms: None while it is not over.
        error: Why it failed, in one line.
        ending: How the process ended before its time; the page writes it, once the process is gone. None where it did
            not, or that is not known.
    """

    order: int
    state: Literal["running", "done", "failed", "stopped"] = "running"
    steps: list[Step] = field(default_factory=list)
    elapsed_s: float = 0.0
    left_s: float | None = None
    done: int = 0
    total: int | None = None
    pid: int = 0
    ended_utc_ms: int | None = None
    error: str = ""
    ending: Ending | None = None


_LOOKING = threading.Lock()  # Whoever looks whether the lock is free holds it for a moment.
_ORDER, _STATE = TypeAdapter(Order), TypeAdapter(State)


class WorkFolder:
    """The folder of a project's work.

    Args:
        folder: `work` in the project's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._order, self._state = folder / "order.json", folder / "state.json"
        self._lock, self._stop = folder / "lock", folder / "stop"
        self.progress, self.log = folder / "progress.jsonl", folder / "worker.log"

    def order(self) -> Order | None:
        """What was ordered last; None where nothing was."""
        with contextlib.suppress(ArtifactError, ValidationError):
            return _ORDER.validate_python(read_object(self._order))
        return None

    def put_order(self, order: Order) -> None:
        """Orders work, in place of what was ordered before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self._stop, self.progress):
            path.unlink(missing_ok=True)
        write_json(self._order, asdict(order))

    def state(self) -> State | None:
        """How far the work is that was ordered last; None where it was not begun."""
        order = self.order()
        with contextlib.suppress(ArtifactError, ValidationError):
            state = _STATE.validate_python(read_object(self._state))
            return state if order is not None and state.order == order.id else None
        return None

    def put_state(self, state: State, durable: bool) -> None:
        """Tells how far the work is.

        Args:
            state: What is told.
            durable: Whether it outlasts a power cut; how far a step is need not, and the record is written meanwhile.
        """
        with write_beside(self._state, durable) as part:
            part.write_text(json_text(asdict(state)), encoding="utf-8")

    def ask_to_stop(self) -> None:
        """Notes that the work shall end, so that it is not taken for interrupted."""
        self._stop.touch()

    @property
    def stop_asked(self) -> bool:
        """Whether the work shall end."""
        return self._stop.exists()

    def go_on(self) -> None:
        """Takes back that the work shall end."""
        self._stop.unlink(missing_ok=True)

    def take_lock(self) -> int | None:
        """Takes the lock; whoever inherits the file that is returned holds it too.

        Returns:
            The open file's number; None where somebody else holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _LOOKING:
            file = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                return None
            return file

    def is_locked(self) -> bool:
        """Whether a process works."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with _LOOKING, self._lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            return False

    def curve(self) -> list[dict[str, Any]]:
        """The loss over time, thinned out where there is much of it: `t` in seconds, `loss`, `iteration`."""
        points = [entry for entry in self._lines() if "loss" in entry]
        step = max(1, len(points) // MOST_POINTS)
        return [*points[:-1:step], *points[-1:]]

    def lines(self) -> list[dict[str, Any]]:
        """What happened last: `time_utc_ms` and `text`."""
        return [entry for entry in self._lines() if "text" in entry][-MOST_LINES:]

    def note(self, entry: Mapping[str, Any]) -> None:
        """Adds a point of the curve or a line of the log."""
        with self.progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.progress.exists():
            return
        for line in self.progress.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # The last one, half written.
                yield json.loads(line)
