"""edgekd users add, list, change and remove."""

import json

import pytest
import typer

from edgekd.cli import users as module
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.page.roles import Role
from edgekd.station.page.users import FILE, Users
from edgekd.station.record.opening import open_record
from edgekd.station.record.reading import RecordReader

from ..run_command import main

PASSWORD = "correct horse battery"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def add(data, password, name="ada", role="admin"):
    return main(["users", "add", name, "--role", role, "--data", data, "--password-file", password])


def test_the_first_admin_is_added_on_the_machine_before_the_station_ever_ran(data, password, capsys):
    assert add(data, password) == 0
    assert "added ada, admin" in capsys.readouterr().out
    users = Users(data / FILE)
    assert users.verified("ada", PASSWORD).role is Role.ADMIN
    users.close()
    assert main(["users", "list", "--data", data, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "ada", "role": "admin", "disabled": False}]


def test_users_are_changed_and_removed_and_the_audit_trail_has_it(data, password, capsys):
    record, _ = open_record(data, "0.1.0")
    assert add(data, password, "erik", "operator") == 0
    assert main(["users", "change", "erik", "--data", data, "--role", "engineer", "--password-file", password]) == 0
    assert main(["users", "change", "erik", "--data", data, "--disable"]) == 0
    assert main(["users", "list", "--data", data]) == 0
    assert "disabled" in capsys.readouterr().out
    assert main(["users", "change", "erik", "--data", data, "--enable"]) == 0
    assert main(["users", "remove", "erik", "--data", data]) == 0
    record.close()
    with RecordReader(data / VERDICTS_FILE) as reader:
        entries = [(each.action, each.subject, each.old, each.new) for each in reader.entries(9)]
    assert entries[::-1] == [
        ("add user", "erik", "", "operator"),
        ("change user", "erik", "operator", "engineer, new password"),
        ("change user", "erik", "engineer", "disabled"),
        ("change user", "erik", "engineer", "enabled"),
        ("remove user", "erik", "engineer", ""),
    ]


def test_a_password_is_asked_for_where_no_file_has_it(data, monkeypatch):
    asked = []

    def prompt(text, **how):
        asked.append(how)
        return PASSWORD

    monkeypatch.setattr(module.typer, "prompt", prompt)
    assert main(["users", "add", "ada", "--role", "admin", "--data", data]) == 0
    assert main(["users", "change", "ada", "--data", data, "--password"]) == 0
    assert asked == [{"hide_input": True, "confirmation_prompt": True}] * 2


def test_what_is_wrong_is_told_and_changes_nothing(data, password, tmp_path, fails):
    assert "name 'data' of the station's configuration" in fails("users", "list", "--data", tmp_path / "nothing")
    assert "has no users yet: add one with 'edgekd users add'" in fails("users", "list", "--data", data)
    words = ["--role", "admin", "--data", data, "--password-file", password]
    assert "a user's name must be 1 to 64 letters" in fails("users", "add", "a/b", *words)
    assert add(data, password) == 0
    assert "there is a user ada already" in fails("users", "add", "ada", *words)
    assert "there is no user bob" in fails("users", "remove", "bob", "--data", data)
    assert "there is no user bob" in fails("users", "change", "bob", "--data", data, "--disable")
    assert "this is the last admin" in fails("users", "remove", "ada", "--data", data)
    assert "name what to change" in fails("users", "change", "ada", "--data", data)
    password.write_text("short")
    assert "at least 12 characters" in fails("users", "change", "ada", "--data", data, "--password-file", password)
    password.chmod(0o644)
    assert "run chmod 600" in fails("users", "change", "ada", "--data", data, "--password-file", password)


def test_a_first_user_who_cannot_be_added_leaves_no_file_behind(data, password, monkeypatch, fails):
    def gives_up(text, **how):
        raise typer.Abort

    words = ["users", "add", "ada", "--data", data]
    fails(*words, "--role", "boss", "--password-file", password)
    monkeypatch.setattr(module.typer, "prompt", gives_up)  # Ctrl-C, after two passwords that differed.
    fails(*words, "--role", "admin", code=130)
    password.write_text("short")
    fails(*words, "--role", "admin", "--password-file", password)
    password.write_text(PASSWORD)
    (data / VERDICTS_FILE).write_text("not a record")
    fails(*words, "--role", "admin", "--password-file", password)
    assert [path.name for path in data.iterdir()] == [VERDICTS_FILE]
