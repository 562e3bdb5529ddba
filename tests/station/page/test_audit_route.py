"""The audit trail, as a supervisor reads it."""

import sqlite3

import pytest

from edgekd.station.page.roles import Role
from edgekd.station.page.routes import audit

from ..record.recording import opened
from .stage import client, make_page


@pytest.fixture
def record(tmp_path):
    record = opened(tmp_path / "data")
    yield record
    record.close()


@pytest.fixture
def supervisor(tmp_path, record):
    page = make_page(tmp_path)
    yield client(page, Role.SUPERVISOR)
    page.record.close()


def changes(record, count):
    for number in range(1, count + 1):
        record.audit("mara", "engineer", "10.0.0.1", "threshold", f"cell r{number}", "0.5", "0.6", "<b>why</b>")


def test_entries_come_the_newest_first_with_old_and_new_and_why(record, supervisor):
    changes(record, 3)
    found = supervisor.get("/api/audit?limit=2").json()
    assert [entry["subject"] for entry in found["entries"]] == ["cell r3", "cell r2"]
    first = found["entries"][0]
    assert (first["who"], first["role"], first["old"], first["new"]) == ("mara", "engineer", "0.5", "0.6")
    assert (found["whole"], found["broken"], found["count"]) == (True, "", 3)
    assert found["head"] == first["hash"]
    last = supervisor.get(f"/api/audit?limit=2&before_id={found['next_before_id']}").json()
    assert ([entry["id"] for entry in last["entries"]], last["next_before_id"]) == ([1], None)


def test_an_empty_trail_is_whole(supervisor):
    found = supervisor.get("/api/audit").json()
    assert (found["entries"], found["whole"], found["next_before_id"]) == ([], True, None)


def test_a_trail_that_was_changed_says_where(record, supervisor, monkeypatch):
    changes(record, 3)
    assert supervisor.get("/api/audit").json()["whole"]
    with sqlite3.connect(record.log.path) as other:
        other.execute("DROP TRIGGER audit_no_update")
        other.execute("UPDATE audit SET new = '0.9' WHERE id = 2")
    other.close()
    assert supervisor.get("/api/audit").json()["whole"]  # As it was found a moment ago.
    monkeypatch.setattr(audit, "VERIFIED_S", -1)
    found = supervisor.get("/api/audit").json()
    assert (found["whole"], found["broken"]) == (False, "entry 2 was changed")


def test_operators_do_not_read_the_trail(tmp_path, record):
    page = make_page(tmp_path)
    assert client(page).get("/api/audit").status_code == 401
    assert client(page, Role.OPERATOR).get("/api/audit").status_code == 403
    page.record.close()
