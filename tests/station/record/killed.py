"""Writers of a record that are killed, one after the other, and what must be true of it then.

python -m tests.station.record.killed DIR steps 60     # killed before each of the first 60 statements
python -m tests.station.record.killed DIR times 1000   # killed at any time
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import AlarmChanged
from edgekd.station.ports import StoredImage
from edgekd.station.record.opening import open_record
from edgekd.station.record.recovery import note_answered
from edgekd.station.snapshot import Alarm
from edgekd.verdicts import log_file
from edgekd.verdicts.audit import verify_trail

from .recording import RECIPE, acquisition, outcome

LONGEST_S = 0.06  # Until a writer is killed.


# Of an answer, in their order; and the number of the statement with this text before which a writer is killed.
STEPS = (
    ("INSERT INTO meta", 1),  # A first start.
    ("INSERT INTO acquisition", 1),  # A trigger came.
    ("INSERT INTO verdict", 1),  # It is on record, its part is judged.
    ("INSERT INTO result", 1),  # Half of the answer is written.
    ("COMMIT", 8),  # All of it is.
    ("INSERT INTO delivery", 2),  # It was published, and read.
    ("INSERT INTO image", 2),
    ("INSERT INTO alarm", 2),
    ("INSERT INTO audit", 2),
    ("INSERT INTO counter", 1),
    ("'ended'", 1),  # It ends.
)


def write(data, pipe, statements):
    """Judges parts and reports each answer as if to a PLC, until it kills itself before a statement, or is killed."""
    if statements is not None:
        count_statements(*statements)
    record, _ = open_record(data, "0")
    result, acquired = record.last_numbers()
    while True:
        result, acquired = result + 1, acquired + 1
        verdict = (Verdict.OK, Verdict.OK, Verdict.NG, Verdict.ERROR)[result % 4]
        record.begin(acquisition(acquired), RECIPE)
        record.write(outcome(result, verdict, acquired=acquired))
        os.write(pipe, f"{result} {verdict.value}\n".encode())  # Published.
        record.deliver(result, "acked")
        record.stored(StoredImage(result, "original", f"{result}.png", "00", 1))
        record.note(AlarmChanged(Alarm(ErrorCode.CAMERA_LOST, "lost", 1)), "line")
        record.audit("mara", "engineer", "", "threshold", "cell", str(result), str(result + 1), "")
        os.write(pipe, b"audited\n")
        if result % 3 == 0:
            record.save_counters()
            note_answered(record.log)
        if result % 4 == 0:
            record.close()
            record, _ = open_record(data, "0")


def count_statements(text, most):
    """Kills this process before the last of so many statements with a text, those of triggers counted too."""
    left = [most]

    def count(statement):
        left[0] -= text in statement
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    opened = log_file.open_for_writing

    def traced(*arguments):
        connection = opened(*arguments)
        connection.set_trace_callback(count)
        return connection

    log_file.open_for_writing = traced


def one(data, statements=None, seconds=None):
    """A writer, killed.

    Returns:
        The lines that it printed.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        try:
            write(data, writes, statements)
        finally:
            os._exit(1)
    os.close(writes)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reads, "rb") as file:
        printed = file.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "a writer failed by itself"
    return printed.splitlines()


class Checked:
    """Holds the record against what was published, after each kill.

    Args:
        data: Its folder.
    """

    def __init__(self, data):
        self._data, self._results, self._acquired, self._audited = data, 0, 0, 0
        self.open_parts = 0

    def check(self, lines):
        record, found = open_record(self._data, "0")
        self.open_parts += found.open_parts
        read = record.log.execute
        new = read("SELECT id, verdict FROM verdicts WHERE id > ? ORDER BY id", (self._results,)).fetchall()
        on_record = dict(new)
        assert list(on_record) == list(range(self._results + 1, self._results + 1 + len(new)))
        published = [line.split() for line in lines if line != "audited"]
        assert len({number for number, _ in published}) == len(published)
        for number, verdict in published:
            assert on_record[int(number)] == verdict
        answers = read(
            "SELECT a.id, count(r.id) FROM acquisition a LEFT JOIN result r ON r.acquisition_id = a.id "
            "WHERE a.id > ? GROUP BY a.id ORDER BY a.id",
            (self._acquired,),
        ).fetchall()
        assert [number for number, _ in answers] == list(range(self._acquired + 1, self._acquired + 1 + len(answers)))
        assert {count for _, count in answers} <= {1}
        undelivered = "SELECT count(*) FROM verdicts WHERE id > ? AND delivered IS NULL"
        assert read(undelivered, (self._results,)).fetchone()[0] == 0
        self._audited += lines.count("audited")
        trail = record.log.read(verify_trail)
        assert trail.broken == ""
        assert trail.entries >= self._audited
        self._audited = trail.entries
        counters = record.counters("line")
        counted = dict(read("SELECT verdict, count(*) FROM verdict GROUP BY verdict").fetchall())
        assert (counters.ok, counters.ng, counters.error) == tuple(
            counted.get(verdict, 0) for verdict in ("OK", "NG", "ERROR")
        )
        self._results, self._acquired = record.last_numbers()
        record.log.close()


def main(data, how, count):
    checked, dice = Checked(data), random.Random(0)
    for number in range(count):
        if how == "steps":
            checked.check(one(data, statements=("", number + 1)))
        else:
            checked.check(one(data, seconds=dice.uniform(0, LONGEST_S)))
    print(f"{count} kills, {checked._results} results, {checked.open_parts} parts were open")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
