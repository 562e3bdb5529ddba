"""On a full disk no row is half written, none that was given is lost, and it goes on once there is room."""

import shutil
import subprocess

import pytest

from edgekd.errors import MachineError
from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.record.opening import open_record
from edgekd.station.record.reading import RecordReader

from .recording import RECIPE, acquisition, judged, opened, outcome


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    words = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)] if mount else ["false"]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)  # Whatever a test that failed left open.


def fill(place):
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def written_until_full(record, number):
    """The number of the answer that could not be written."""
    while True:
        try:
            record.begin(acquisition(number), RECIPE)
            record.write(outcome(number, Verdict.OK if number % 2 else Verdict.NG))
            record.deliver(number, "acked")
        except MachineError:
            return number
        number += 1


def test_rows_are_refused_as_long_as_the_disk_is_full_and_then_written(tiny_disk):
    record = opened(tiny_disk)
    judged(record, 1)
    ballast = fill(tiny_disk)
    number = written_until_full(record, 2)

    def begin_many(first):
        for other in range(first, first + 5000):
            record.begin(acquisition(other), RECIPE)

    for turn in range(1, 4):
        with pytest.raises(MachineError, match="no room left on the disk"):
            begin_many(100_000 * turn)
    given = record.last_numbers()[0]
    assert given in (number - 1, number)
    ballast.unlink()
    record.begin(acquisition(900_000), RECIPE)
    record.write(outcome(given + 1, acquired=900_000))
    record.close()
    record, found = open_record(tiny_disk, "0")
    with RecordReader(tiny_disk / VERDICTS_FILE) as reader:
        ids = [each.outcome.result_id for each in reader.last(1000)]
    assert ids == list(range(max(ids), 0, -1))
    assert found.clean
    record.close()


def test_a_full_disk_at_the_end_is_a_crash_and_loses_nothing(tiny_disk):
    record = opened(tiny_disk)
    judged(record, 1)
    ballast = fill(tiny_disk)
    last = written_until_full(record, 2)
    given = record.last_numbers()[0]
    record.close()
    with RecordReader(tiny_disk / VERDICTS_FILE) as reader:
        assert len(reader.last(1000)) == given
    with pytest.raises(MachineError, match="no room left"):
        open_record(tiny_disk, "0")
    ballast.unlink()
    record, found = open_record(tiny_disk, "0")
    assert found.open_parts == (0 if given == last else record.last_numbers()[1] - given)
    record.close()
