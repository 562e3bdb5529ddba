"""Runs one case of a target and judges how it ended: what it raised, how long it took, how much memory."""

from __future__ import annotations

import hashlib
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from edgekd.errors import EdgekdError
from tests.fuzz.case import Target, WrongAnswerError, read_values

MOST_SECONDS = 2.0  # Of the processor, not of the clock: fuzzing runs beside other work.
MOST_MIB = 200.0  # Above what the process held before.
LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        refused: Whether an EdgekdError came out.
        finding: What must be mended, in one line that is the same for the same fault; None where all is well.
        detail: More on the finding, such as a traceback.
        seconds: Of the processor.
        mib: The most memory that it held above what the process held before; 0 where that cannot be measured.
    """

    refused: bool
    finding: str | None
    detail: str
    seconds: float
    mib: float


def run_case(target: Target, folder: Path, files: Path) -> Outcome:
    """Runs a case that `write_case` wrote to a folder."""
    values = read_values(folder)
    before = _reset_peak()
    started = time.process_time()
    refused, finding, detail = False, None, ""
    try:
        target.run(values, files)
    except EdgekdError as error:
        refused = True
        broken = "\n" in str(error) and not any("\n" in str(value) for value in values.values())  # A name's own stays.
        if broken or len(str(error)) > LONGEST_MESSAGE or not str(error):
            finding, detail = f"a message that is not one line, {_where(error)}", repr(error)
    except WrongAnswerError as error:
        finding, detail = f"wrong answer: {error}", traceback.format_exc()
    except Exception as error:
        finding, detail = f"{type(error).__name__} {_where(error)}: {str(error)[:100]!r}", traceback.format_exc()
    seconds = time.process_time() - started
    mib = _peak() - before
    if finding is None and seconds > MOST_SECONDS:
        finding, detail = "slow", f"{seconds:.1f} s of the processor"
    if finding is None and mib > MOST_MIB:
        finding, detail = "memory", f"{mib:.0f} MiB above idle"
    return Outcome(refused, finding, detail, seconds, max(0.0, mib))


def signature(target: str, finding: str) -> str:
    """A short name for all findings of one kind, for the folder that they are kept in."""
    kind = finding.rpartition(": ")[0] or finding if not finding.startswith("wrong answer") else finding
    return f"{target}-{hashlib.sha256(kind.encode()).hexdigest()[:8]}"


def _where(error: BaseException) -> str:
    """The innermost line of edgekd that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/edgekd/" in frame.filename] or frames
    return f"at {ours[-1].filename.rpartition('/edgekd/')[2]}:{ours[-1].lineno}" if ours else "nowhere"


def _reset_peak() -> float:
    """Forgets the peak of the process's memory, and returns what it holds now, in MiB; Linux alone knows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0.0
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM") if Path("/proc/self/clear_refs").exists() else 0.0


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) / 1024
    return 0.0
