"""Training all six systems on the carried category, several at once, each in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from edgekd.artifact import read_json
from edgekd.errors import EdgekdError
from gpu_script import part
from gpu_script.carried import CONTENTS, require_carried
from gpu_script.children import kill_group, last_line, start_child
from gpu_script.part import Clock
from gpu_script.record import DONE, FAILED, Record
from gpu_script.settings import SYSTEM_NAMES, Settings

CORES_EACH, MEMORY_EACH = 2, 8 << 30
POLL_SECONDS = 0.5
FINISH_SECONDS = 20.0  # Between SIGINT and the part's end: to settle, measure and write.
REHEARSAL_FINISH_SECONDS = 8.0


class Child:
    """One system's training process."""

    def __init__(self, settings: Settings, system: str, seconds: float, threads: int) -> None:
        self.system = system
        self.path = settings.work / "training" / f"{system}.json"
        self.log = settings.work / "logs" / f"training_{system}.log"
        self.path.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        words = [str(settings.out), system, f"{seconds:.1f}", str(threads)]
        self.process = start_child([sys.executable, "-m", "gpu_script.train_one", *words], self.log)
        self.stop_at = time.monotonic() + seconds
        self.asked_to_stop = False

    def ask_to_stop(self) -> None:
        if not self.asked_to_stop:
            self.asked_to_stop = True
            self.process.send_signal(signal.SIGINT)

    def content(self) -> dict[str, Any]:
        """What its file holds so far."""
        try:
            return dict(read_json(self.path))
        except EdgekdError:
            return {"status": FAILED, "reason": f"it wrote nothing: {last_line(self.log)}"}


def train_all(settings: Settings, clock: Clock, record: Record) -> None:
    require_carried()
    record.put("data", value=read_json(CONTENTS))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    room = _gpu_memory(settings) // MEMORY_EACH
    at_once = max(1, min(len(SYSTEM_NAMES), cores // CORES_EACH, room)) if settings.on_gpu else 1
    threads = max(1, cores // at_once) if settings.on_gpu else 1
    record.put("processes_at_once", value=at_once)
    record.put("threads_each", value=threads)
    finish = FINISH_SECONDS if settings.on_gpu else REHEARSAL_FINISH_SECONDS
    waiting, running = list(SYSTEM_NAMES), list[Child]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once and clock.left > 2 * finish:
                rounds = -(-len(waiting) // at_once)
                # With a number of iterations to do, each ends by itself, and one may use what another leaves.
                seconds = (clock.left - finish) / (rounds if settings.iterations is None else 1)
                running.append(Child(settings, waiting.pop(0), seconds, threads))
            if waiting and not running:
                break
            time.sleep(POLL_SECONDS)
            for child in list(running):
                if time.monotonic() > child.stop_at or clock.left < finish:
                    child.ask_to_stop()
                if child.process.poll() is not None:
                    running.remove(child)
                    _collect(child, record)
                else:
                    record.content.setdefault("systems", {})[child.system] = child.content()
            record.write()
            if clock.left <= 0:
                break
    finally:
        for child in running:
            kill_group(child.process)
            record.problem(f"{child.system}: killed, it did not end in time; its checkpoint is left in work/runs")
            record.put("systems", child.system, value=child.content())
    for system in waiting:
        record.problem(f"{system}: not begun, no time left")


def _gpu_memory(settings: Settings) -> int:
    """Bytes, by the device record; 0 where it does not know."""
    try:
        return int(read_json(settings.out / "device.json")["torch"]["memory_bytes"])
    except (EdgekdError, KeyError, TypeError):
        return 0


def _collect(child: Child, record: Record) -> None:
    kill_group(child.process)  # What it may have left behind.
    content = child.content()
    if content["status"] != DONE:
        reason = content.get("reason") or f"ended with {child.process.returncode}: {last_line(child.log)}"
        content |= {"status": FAILED, "reason": reason}
        record.problem(f"{child.system}: {reason}")
    for line in content.get("problems", ()):
        record.problem(f"{child.system}: {line}")
    record.put("systems", child.system, value=content)


if __name__ == "__main__":
    part.run("training", train_all)
