"""Results are found by what a person knows of them, page by page."""

import time

import pytest

from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Part
from edgekd.station.record import searching
from edgekd.station.record.reading import RecordReader
from edgekd.station.record.searching import Search, id_range, search
from edgekd.station.snapshot import Loaded

from .recording import judged, opened, outcome

OTHER = Loaded(8, "plate", 2, "ef" * 32, "plate", "detector.onnx", "cd" * 32, "hkt")
HOUR_MS = 3_600_000


@pytest.fixture
def record(tmp_path):
    record = opened(tmp_path)
    yield record
    record.close()


@pytest.fixture
def find(tmp_path, record):
    with RecordReader(tmp_path / VERDICTS_FILE) as reader:
        yield lambda count=100, before_id=None, seconds=10.0, **wanted: search(
            reader, Search(**wanted), count, before_id, seconds
        )


def ids(found):
    return [each.outcome.result_id for each in found.results]


@pytest.fixture
def mixed(record):
    """Eight answers that differ in what they can be found by."""
    judged(record, 1)
    judged(record, 2, Verdict.NG)
    record.write(outcome(3, Verdict.ERROR, ErrorCode.CAMERA_LOST, acquired=0))
    record.write(outcome(4, station="other"))
    record.write(outcome(5, recipe=OTHER))
    record.write(outcome(6, part=Part(0, "A*7", "lot[1]")))
    record.write(outcome(7, Verdict.NG, part=Part(77, "A77", "lot 1")))
    judged(record, 8)
    record.review(2, "mara", "bad")
    record.review(2, "jo", "good")
    record.review(7, "mara", "bad")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"station": "other"}, [4]),
        ({"verdict": Verdict.NG}, [7, 2]),
        ({"verdict": Verdict.ERROR}, [3]),
        ({"error": 103}, [3]),
        ({"error": 0, "verdict": Verdict.OK, "station": "line"}, [8, 6, 5, 1]),
        ({"recipe": "plate"}, [5]),
        ({"recipe": "cell", "revision": 2}, []),
        ({"recipe": "cell", "revision": 3, "part": 1008}, [8]),
        ({"part": 0}, [6]),
        ({"part": 77}, [7]),
        ({"serial": "A"}, [7, 6]),
        ({"serial": "A*"}, [6]),
        ({"lot": "lot["}, [6]),
        ({"lot": "%"}, []),
        ({"reviewed": "good"}, [2]),
        ({"reviewed": "bad"}, [7]),
        ({"reviewed": "any"}, [7, 2]),
        ({"reviewed": "none", "verdict": Verdict.NG}, []),
        ({"serial": "x' OR 1 --"}, []),
    ],
)
def test_results_are_found_by_what_is_known_of_them(mixed, find, wanted, expected):
    found = find(**wanted)
    assert (ids(found), found.next_before_id) == (expected, None)


def test_a_result_is_found_with_its_reviews(mixed, find):
    (found,) = find(reviewed="good").results
    assert [(each.who, each.label) for each in found.reviews] == [("mara", "bad"), ("jo", "good")]


def test_a_page_goes_on_where_the_one_before_ended(mixed, find):
    first = find(3)
    assert (ids(first), first.next_before_id) == ([8, 7, 6], 6)
    second = find(3, first.next_before_id)
    assert (ids(second), second.next_before_id) == ([5, 4, 3], 3)
    last = find(3, second.next_before_id)
    assert (ids(last), last.next_before_id) == ([2, 1], None)


@pytest.fixture
def played(record, monkeypatch):
    """A thousand answers, ten seconds apart, with gaps in their ids as a kill leaves them."""
    start = time.time_ns() // 1_000_000 - 3 * HOUR_MS
    stamps = {}

    def now_ms():
        return stamps["now"]

    monkeypatch.setattr(record.log.clock, "now_ms", now_ms)
    for number in range(1, 1001):
        stamps["now"] = start + 10_000 * number
        result_id = number + 500 * (number > 400)
        answer = outcome(result_id, Verdict.NG if number % 100 == 0 else Verdict.OK)
        record.log.atomically(lambda answer=answer: record.write(answer))
    return start


def test_only_a_stretch_of_ids_is_read_for_a_time(record, played):
    since, until = played + 10_000 * 300, played + 10_000 * 500
    assert record.log.read(lambda log: id_range(log, since, until)) == (294, 1006)
    assert record.log.read(lambda log: id_range(log, None, None)) == (1, 1501)
    assert record.log.read(lambda log: id_range(log, 0, 0)) == (1, 1)
    assert record.log.read(lambda log: id_range(log, played + 100 * HOUR_MS, None)) == (1501, 1501)


def test_results_of_a_time_are_those_from_then_on_until_before(played, find):
    since, until = played + 10_000 * 399, played + 10_000 * 402
    assert ids(find(since_ms=since, until_ms=until)) == [901, 400, 399]


def test_a_search_that_takes_too_long_goes_on_with_the_next_page(played, find, monkeypatch):
    monkeypatch.setattr(searching, "FIRST_STRETCH", 100)
    pages, before = [], None
    while True:
        found = find(3, before, seconds=0, verdict=Verdict.NG)
        pages.append(ids(found))
        before = found.next_before_id
        if before is None:
            break
    assert [each for page in pages for each in page] == [1500, 1400, 1300, 1200, 1100, 1000, 400, 300, 200, 100]
    assert len(pages) == 15


def test_an_empty_record_holds_nothing(find):
    assert find(since_ms=0, until_ms=5).results == ()
