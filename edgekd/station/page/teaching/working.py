"""The long work, as the page sees it: started, watched, stopped, and started again after an interruption."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekd.station.clock import Clock
from edgekd.station.page.teaching.ending import note_ending
from edgekd.station.page.teaching.project_files import ProjectFiles
from edgekd.station.page.teaching.work_files import FINAL, STEPS, Kind, Order, State, Step

WORKER = "edgekd.station.page.teaching.worker"
ENDING_S = 1.0  # A process gives the lock back a moment before it is gone.
OF_STATE = ("ended_utc_ms", "elapsed_s", "left_s", "done", "total", "error")


class Working:
    """Starts and watches the process of a project's long work.

    Args:
        project: Its files.
        station: Of the project.
        data: Folder of the record.
        recipes: Folder of the recipes.
    """

    def __init__(self, project: ProjectFiles, station: str, data: Path, recipes: Path) -> None:
        self._project, self._station = project, station
        self._data, self._recipes = data, recipes
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()  # Nobody starts a process while the end of the one before is noted.

    def order(self, kind: Kind, number: int, by: str, options: dict[str, Any]) -> bool:
        """Orders work and begins it.

        Args:
            kind: What to do.
            number: Of the run.
            by: Who asks.
            options: Of the kind.

        Returns:
            Whether it was begun; False where the project's last work is still going on.
        """
        work = self._project.work
        return self._begin(lambda: work.put_order(Order(Clock().utc_ms(), kind, number, by, options)))

    def go_on(self) -> bool:
        """Begins again what was interrupted or stopped; returns whether it was begun."""
        return self._begin(self._project.work.go_on)

    def stop(self) -> None:
        """Asks the process to end; what it did is kept."""
        state = self._project.work.state()
        self._project.work.ask_to_stop()
        if not self._project.work.is_locked():
            return
        process = self._process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
            elif state is not None and state.pid:
                os.kill(state.pid, signal.SIGTERM)  # One that an earlier process of the page began; it holds the lock.

    def job(self) -> dict[str, Any] | None:
        """How far the work is that was ordered last, as JSON has it; None where nothing was."""
        work = self._project.work
        order = work.order()
        if order is None:
            return None
        running = self._is_running()
        state = work.state() or State(order.id, steps=[Step(name) for name in STEPS[order.kind]])
        return {
            "project": self._project.folder.name,
            "station": self._station,
            "kind": order.kind,
            "number": order.number,
            "by": order.by,
            "state": _state(state, running, work.stop_asked),
            "step": next((each.name for each in state.steps if each.state == "running"), ""),
            "steps": [asdict(each) for each in state.steps],
            "started_utc_ms": order.id,
            **{name: getattr(state, name) for name in OF_STATE},
            "ending": None if running or state.ending is None else asdict(state.ending),
        }

    def _begin(self, prepare: Callable[[], None]) -> bool:
        """Starts the process, once what it reads is prepared; returns False where one still works."""
        if self._is_running():
            return False
        with self._starting:
            lock = self._project.work.take_lock()
            if lock is None:
                return False
            with _closing(lock):
                prepare()
                self._start(lock)
        return True

    def _is_running(self) -> bool:
        """Whether the process works. It is noted how one ended that was begun here."""
        work = self._project.work
        with self._starting:
            if work.is_locked():
                return True
            if self._process is None:
                return False
            try:
                code = self._process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                return False
            lock = work.take_lock()
            if lock is not None:
                self._process = None
                with _closing(lock):
                    note_ending(work, code)
            return False

    def _start(self, lock: int) -> None:
        folder = self._project.work.folder
        words = [str(each.absolute()) for each in (self._project.folder, self._data, self._recipes)]
        with (folder / "worker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER, *words, str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,  # It outlives the page.
            )


@contextlib.contextmanager
def _closing(file: int) -> Any:
    try:
        yield file
    finally:
        os.close(file)


def _state(state: State, running: bool, stop_asked: bool) -> str:
    if running:  # Also for the moment that a process takes to end: until then nothing else can be begun.
        return "running"
    if state.state in FINAL:
        return state.state
    return "stopped" if stop_asked else "interrupted"
