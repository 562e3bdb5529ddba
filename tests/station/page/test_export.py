"""What a supervisor takes away of the record."""

import csv
import hashlib
import io
import os
import subprocess
import zipfile

import pytest

from edgekd.result import Verdict
from edgekd.station.page import evaluating, exporting
from edgekd.station.page.roles import Role
from edgekd.station.parts import Part

from ..record.recording import judged, opened, outcome
from .on_record import store
from .stage import client, make_page


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def record(data):
    record = opened(data)
    yield record
    record.close()


@pytest.fixture
def supervisor(tmp_path, record):
    page = make_page(tmp_path)
    yield client(page, Role.SUPERVISOR)
    page.record.close()


def archive_of(answer):
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def table(archive, name):
    return list(csv.DictReader(io.StringIO(archive.read(name).decode())))


def test_an_export_holds_tables_images_and_the_digests_of_all_of_it(record, data, supervisor, tmp_path):
    judged(record, 1)
    judged(record, 2, Verdict.NG)
    judged(record, 3, Verdict.ERROR)
    content = store(record, data, 2)
    record.review(2, "mara", "good", "dust")
    record.review(2, "jo", "bad")
    record.audit("jo", "engineer", "10.0.0.1", "release", "cell r3", "2", "3", "better light")
    answer = supervisor.get("/api/export?station=line")
    assert answer.headers["content-disposition"].startswith('attachment; filename="edgekd-line-2')
    archive = archive_of(answer)
    assert archive.testzip() is None
    rows = table(archive, "results.csv")
    assert [(row["result_id"], row["verdict"], row["error_code"]) for row in rows] == [
        ("3", "ERROR", "301"),
        ("2", "NG", "0"),
        ("1", "OK", "0"),
    ]
    assert (rows[1]["review"], rows[1]["reviewed_by"], rows[1]["inference_ms"]) == ("bad", "jo", "7.0")
    assert rows[1]["published"].endswith("Z")
    assert archive.read(rows[1]["original"]) == content
    assert rows[1]["original_sha256"] == hashlib.sha256(content).hexdigest()
    assert [row["label"] for row in table(archive, "reviews.csv")] == ["good", "bad"]
    assert table(archive, "audit.csv")[0]["why"] == "better light"
    assert b"Exported by supervisor" in archive.read("README.txt")
    archive.extractall(tmp_path / "out")
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "out", check=True)


def test_an_export_holds_what_was_searched_for_and_images_only_where_wanted(record, data, supervisor):
    judged(record, 1)
    judged(record, 2, Verdict.NG)
    store(record, data, 2)
    archive = archive_of(supervisor.get("/api/export?verdict=NG&images=false"))
    assert [row["result_id"] for row in table(archive, "results.csv")] == ["2"]
    assert set(archive.namelist()) == {"results.csv", "reviews.csv", "audit.csv", "README.txt", "SHA256SUMS"}


def test_all_results_are_in_an_export_however_many_pages_there_are(record, supervisor, monkeypatch):
    monkeypatch.setattr(exporting, "MOST", 2)
    for number in range(1, 6):
        judged(record, number)
    rows = table(archive_of(supervisor.get("/api/export")), "results.csv")
    assert [row["result_id"] for row in rows] == ["5", "4", "3", "2", "1"]


def test_an_image_that_was_changed_or_is_gone_is_named(record, data, supervisor):
    judged(record, 1, Verdict.NG)
    judged(record, 2, Verdict.NG)
    for number in (1, 2):
        store(record, data, number)
    folder = data / "images/2026-11-27/23"
    (folder / "1_NG.png").write_bytes(b"another")
    (folder / "2_NG.png").unlink()
    archive = archive_of(supervisor.get("/api/export"))
    told = archive.read("README.txt").decode()
    assert "missing: original of result 2" in told
    assert "changed since it was written: images/1_NG.png" in told
    assert archive.read("images/1_NG.png") == b"another"


def test_an_image_that_was_written_before_the_clock_was_set_is_in_an_export(record, data, supervisor):
    judged(record, 1, Verdict.NG)
    content = store(record, data, 1)
    os.utime(data / "images/2026-11-27/23/1_NG.png", (0, 0))  # 1970, where a machine without a battery begins.
    archive = archive_of(supervisor.get("/api/export"))
    assert archive.read("images/1_NG.png") == content


def test_no_cell_is_a_formula_for_a_spreadsheet(record, supervisor):
    record.write(outcome(1, part=Part(1, "=cmd|'/c calc'!A0", "@SUM(1)")))
    record.review(1, "mara", "bad", "+1")
    archive = archive_of(supervisor.get("/api/export"))
    (row,) = table(archive, "results.csv")
    assert (row["serial"], row["lot"], row["review_note"]) == ("'=cmd|'/c calc'!A0", "'@SUM(1)", "'+1")
    assert row["score"] == "0.5"


def test_what_is_too_large_is_refused_with_what_to_do(record, data, supervisor, monkeypatch):
    judged(record, 1, Verdict.NG)
    judged(record, 2)
    store(record, data, 1)
    monkeypatch.setattr(exporting, "MOST_BYTES", 0)
    answer = supervisor.get("/api/export")
    assert answer.status_code == 422
    assert "leave the images out" in answer.json()["error"]["text"]
    assert supervisor.get("/api/export?images=false").status_code == 200
    monkeypatch.setattr(exporting, "MOST_RESULTS", 1)
    answer = supervisor.get("/api/export?images=false")
    assert answer.status_code == 422
    assert "choose a shorter time" in answer.json()["error"]["text"]


def test_the_size_of_an_export_is_known_before_it_is_made(record, data, supervisor, monkeypatch):
    judged(record, 1, Verdict.NG)
    judged(record, 2)
    content = store(record, data, 1)
    assert supervisor.get("/api/export/size").json() == {"results": 2, "image_bytes": len(content)}
    assert supervisor.get("/api/export/size?verdict=OK").json() == {"results": 1, "image_bytes": 0}
    monkeypatch.setattr(exporting, "MOST_RESULTS", 1)
    assert supervisor.get("/api/export/size").status_code == 422


def test_few_exports_are_made_at_once(record, supervisor):
    judged(record, 1)
    with exporting._running, exporting._running:
        answer = supervisor.get("/api/export")
    assert answer.status_code == 503
    assert "Other exports" in answer.json()["error"]["text"]
    assert supervisor.get("/api/export").status_code == 200


def test_an_export_that_is_broken_off_makes_room_for_the_next(tmp_path, record):
    judged(record, 1)
    page = make_page(tmp_path)
    for _ in range(exporting.AT_ONCE + 1):
        pieces = exporting.Export(page.record, page.data, exporting.Search()).pieces()
        assert next(pieces)
        pieces.close()
    page.record.close()


def test_an_evaluation_that_takes_too_long_is_ended(record, supervisor, monkeypatch):
    for number in range(1, 4):
        judged(record, number)
    monkeypatch.setattr(evaluating, "INSTRUCTIONS", 1)
    with pytest.raises(evaluating.MachineError, match="shorter time"):
        evaluating.evaluate(record.log.path, lambda log: log.execute("SELECT * FROM verdicts").fetchall(), seconds=-1)


def test_evaluations_wait_for_each_other_but_not_for_long(record, monkeypatch):
    monkeypatch.setattr(evaluating, "PATIENCE_S", 0.01)
    with evaluating._one_at_a_time, pytest.raises(evaluating.MachineError, match="try again"):
        evaluating.evaluate(record.log.path, lambda log: None)
    assert evaluating.evaluate(record.log.path, lambda log: 1) == 1


def test_operators_export_nothing(tmp_path, record):
    page = make_page(tmp_path)
    assert client(page).get("/api/export").status_code == 401
    assert client(page, Role.OPERATOR).get("/api/export").status_code == 403
    page.record.close()
