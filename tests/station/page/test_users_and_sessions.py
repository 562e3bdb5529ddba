"""Users in their database, passwords and PINs, sessions and how they end."""

from __future__ import annotations

import os
import re
import sqlite3
import stat

import pytest

from edgekd.errors import EdgekdError, MachineError
from edgekd.station.page import sessions as module
from edgekd.station.page.passwords import PasswordError, hashed, matches, require_good
from edgekd.station.page.roles import Role
from edgekd.station.page.sessions import LONGEST_S, MOST_OF_ONE, Sessions
from edgekd.station.page.users import FILE, LastAdminError, UnknownUserError, Users

PASSWORD = "correct horse battery"


@pytest.fixture
def users(tmp_path):
    made = Users(tmp_path / FILE)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("password", "role", "problem"),
    [
        ("274951", Role.OPERATOR, ""),
        ("27495", Role.OPERATOR, "at least 6 digits"),
        ("111111", Role.OPERATOR, "one digit repeated, or a row of digits"),
        ("123456", Role.OPERATOR, "one digit repeated, or a row of digits"),
        ("987654", Role.OPERATOR, "one digit repeated, or a row of digits"),
        ("890123", Role.OPERATOR, "one digit repeated, or a row of digits"),
        ("short one", Role.OPERATOR, "at least 12 characters, or be a PIN of at least 6 digits"),
        ("٢٧٤٩٥١", Role.OPERATOR, "at least 12 characters"),
        ("274951", Role.SUPERVISOR, "at least 12 characters"),
        ("", Role.ADMIN, "at least 12 characters"),
        ("abababababab", Role.ENGINEER, "at least 5 different characters"),
        ("it is Anna 1234", Role.ENGINEER, "must not contain the user's name"),
        ("x" * 257, Role.ENGINEER, "at most 256 characters"),
        (PASSWORD, Role.ENGINEER, ""),
    ],
)
def test_a_new_password_is_held_against_what_its_role_needs(password, role, problem):
    if not problem:
        require_good(password, role, "anna")
        return
    with pytest.raises(PasswordError, match=re.escape(problem)):
        require_good(password, role, "anna")


def test_what_is_kept_of_a_password_is_a_salted_argon2id_hash():
    first, second = hashed(PASSWORD), hashed(PASSWORD)
    assert first.startswith("$argon2id$")
    assert first != second
    assert matches(PASSWORD, first)
    assert not matches(PASSWORD + " ", first)
    assert not matches(PASSWORD, "no hash")


def test_a_user_is_added_verified_changed_and_removed(users):
    assert users.is_empty()
    users.add("Anna", Role.ENGINEER, PASSWORD)
    assert users.find("anna").name == "Anna"
    assert users.verified("ANNA", PASSWORD).role is Role.ENGINEER
    assert users.verified("Anna", "wrong") is None
    assert users.verified("nobody", PASSWORD) is None
    users.change("anna", role=Role.SUPERVISOR, password="another good password")
    assert users.verified("Anna", PASSWORD) is None
    assert users.verified("Anna", "another good password").role is Role.SUPERVISOR
    users.change("Anna", disabled=True)
    assert users.verified("Anna", "another good password") is None
    users.change("Anna", disabled=False)
    assert users.verified("Anna", "another good password")
    users.remove("Anna")
    assert users.all() == ()


def test_a_name_is_given_once_whatever_its_case(users):
    users.add("Anna", Role.OPERATOR, "274951")
    with pytest.raises(EdgekdError, match="there is a user anna already"):
        users.add("anna", Role.ENGINEER, PASSWORD)


def test_a_trial_changes_nothing_and_finds_what_forbids_it(users):
    users.add("root", Role.ADMIN, PASSWORD, trial=True)
    assert users.is_empty()
    users.add("root", Role.ADMIN, PASSWORD)
    users.change("root", password="another good password", trial=True)
    assert users.verified("root", PASSWORD)
    for change in (
        lambda: users.remove("root", trial=True),
        lambda: users.change("root", disabled=True, trial=True),
        lambda: users.change("root", role=Role.ENGINEER, trial=True),
    ):
        with pytest.raises(LastAdminError):
            change()
    users.add("second", Role.ADMIN, PASSWORD)
    users.remove("root", trial=True)
    assert users.find("root")


def test_nobody_who_is_not_there_is_changed_or_removed(users):
    for change in (users.remove, lambda name: users.change(name, disabled=True)):
        with pytest.raises(UnknownUserError, match="there is no user ann"):
            change("ann")


def test_an_operator_who_becomes_more_needs_a_password(users):
    users.add("anna", Role.OPERATOR, "274951")
    with pytest.raises(EdgekdError, match="a new password is needed with the role engineer"):
        users.change("anna", role=Role.ENGINEER)
    with pytest.raises(EdgekdError, match="at least 12 characters"):
        users.change("anna", role=Role.ENGINEER, password="274952")
    users.change("anna", role=Role.ENGINEER, password=PASSWORD)


@pytest.mark.skipif(os.name != "posix", reason="files have no modes here")
def test_nobody_else_may_read_the_file(users, tmp_path):
    for path, mode in ((tmp_path / FILE, 0o600), ((tmp_path / FILE).parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    users.add("anna", Role.ENGINEER, PASSWORD)
    assert PASSWORD.encode() not in (tmp_path / FILE).read_bytes()


def test_several_processes_may_share_the_file(users, tmp_path):
    other = Users(tmp_path / FILE)
    users.add("anna", Role.OPERATOR, "274951")
    other.change("anna", disabled=True)
    assert users.find("anna").disabled
    other.close()
    other.close()


def test_a_file_that_cannot_be_used_is_told_in_words(tmp_path):
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_bytes(b"no database at all, and long enough to be one" * 100)
    with pytest.raises(MachineError, match="cannot be used: file is not a database"):
        Users(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(MachineError, match="cannot be opened"):
        Users(path)


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    Users(tmp_path / FILE).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(EdgekdError, match="is of a newer edgekd"):
        Users(tmp_path / FILE)


class Time:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def sessions(users, time):
    users.add("anna", Role.OPERATOR, "274951")
    return Sessions(users, 60, time)


def opened(sessions, users, name="anna"):
    return sessions.open(users.find(name))[0]


def test_a_session_ends_when_nobody_does_anything(sessions, users, time):
    token = opened(sessions, users)
    time.now += 59
    assert sessions.find(token, active=True).name == "anna"
    time.now += 59
    assert sessions.find(token, active=False)  # The page asks by itself.
    time.now += 2
    assert sessions.find(token, active=False) is None
    assert sessions.find(token, active=True) is None


def test_a_session_ends_after_a_shift_however_busy_it_was(sessions, users, time):
    token = opened(sessions, users)
    while time.now < 1000 + LONGEST_S:
        assert sessions.find(token, active=True)
        time.now += 50
    time.now += 50
    assert sessions.find(token, active=True) is None


@pytest.mark.parametrize(
    "change", [{"role": Role.OPERATOR}, {"disabled": True}, {"password": "274952"}, {"disabled": False}, None]
)
def test_a_session_ends_when_its_user_is_changed_or_removed(sessions, users, change):
    token = opened(sessions, users)
    users.remove("anna") if change is None else users.change("anna", **change)
    assert sessions.find(token, active=True) is None


def test_a_token_is_known_to_the_browser_alone(sessions, users):
    token, session = sessions.open(users.find("anna"))
    assert token not in repr(vars(sessions))
    assert session.csrf not in repr(session)
    assert sessions.find(token + "x", active=True) is None
    assert sessions.find("", active=True) is None
    assert sessions.find("\ud800", active=True) is None


def test_logging_out_ends_one_session_alone(sessions, users):
    first, second = opened(sessions, users), opened(sessions, users)
    sessions.close(first)
    sessions.close(first)
    assert sessions.find(first, active=True) is None
    assert sessions.find(second, active=True)


def test_of_too_many_sessions_the_oldest_end(sessions, users, time, monkeypatch):
    tokens = [opened(sessions, users) for _ in range(MOST_OF_ONE + 2)]
    alive = [sessions.find(token, active=True) is not None for token in tokens]
    assert alive == [False] * 2 + [True] * MOST_OF_ONE
    monkeypatch.setattr(module, "MOST", 3)
    users.add("bob", Role.OPERATOR, "274951")
    newest = opened(sessions, users, "bob")
    alive = [sessions.find(token, active=True) is not None for token in [*tokens, newest]]
    assert alive == [False] * MOST_OF_ONE + [True] * 3
    time.now += 61
    opened(sessions, users)
    assert len(sessions._open) == 1
