"""How much anybody may ask of the page."""

from __future__ import annotations

import asyncio
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, Request, UploadFile

from edgekd.station.page import app as application
from edgekd.station.page import limits
from edgekd.station.page.guard import needs
from edgekd.station.page.limits import FREE_TRIES, LONGEST_WAIT_S, MOST_BYTES, Attempts, Buckets, Rate
from edgekd.station.page.roles import Role, User

from .stage import client, make_page

Anybody = Annotated[User, Depends(needs(Role.ANYONE))]
Engineer = Annotated[User, Depends(needs(Role.ENGINEER))]


class Time:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_bucket_gives_so_many_at_once_and_so_many_a_second():
    time = Time()
    bucket = Buckets(Rate(2, 3), time)
    assert [bucket.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.wait_s("b") == 0
    time.now = 0.5
    assert [bucket.wait_s("a"), bucket.wait_s("a")] == [0, 0.5]
    time.now = 100
    assert [bucket.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "MOST_KNOWN", 10)
    bucket, attempts = Buckets(Rate(1, 1)), Attempts()
    for number in range(100):
        bucket.wait_s(str(number))
        attempts.count(f"user {number}", f"10.0.0.{number}")
    assert len(bucket._left) == 10
    assert len(attempts._failed) == 10


def test_after_five_wrong_passwords_each_try_waits_twice_as_long():
    time = Time()
    attempts = Attempts(time)
    for number in range(1, FREE_TRIES + 1):
        assert attempts.wait_s("anna", "10.0.0.1") == 0
        assert attempts.count("Anna", "10.0.0.1") == number
    waits = []
    for _ in range(9):
        waits.append(attempts.wait_s("ANNA", "10.0.0.1"))
        time.now += waits[-1]
        assert attempts.wait_s("anna", "10.0.0.1") == 0
        attempts.count("anna", "10.0.0.1")
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, LONGEST_WAIT_S]


def test_a_user_is_not_locked_out_by_somebody_elsewhere():
    attempts = Attempts(Time())
    for _ in range(FREE_TRIES):
        attempts.count("anna", "10.0.0.1")
    assert attempts.wait_s("anna", "10.0.0.1") > 0
    assert attempts.wait_s("anna", "10.0.0.2") == 0


def test_guessing_is_slowed_down_by_address_and_by_name():
    attempts = Attempts(Time())
    for number in range(4 * FREE_TRIES):
        attempts.count(f"user{number}", "2001:db8::1")
    assert attempts.wait_s("anna", "2001:db8::ffff") > 0  # Of the same network, which a machine has to itself.
    assert attempts.wait_s("anna", "2001:db8:0:1::1") == 0
    for number in range(8 * FREE_TRIES):
        attempts.count("bob", f"10.0.0.{number}")
    assert attempts.wait_s("bob", "10.0.1.1") > 0


def test_a_right_password_is_not_counted_and_forgets_the_wrong_ones_before_it():
    attempts = Attempts(Time())
    for _ in range(10 * FREE_TRIES):
        attempts.count("anna", "10.0.0.1")
        attempts.succeeded("anna", "10.0.0.1")
    assert attempts.wait_s("anna", "10.0.0.1") == 0
    for _ in range(FREE_TRIES - 1):
        attempts.count("anna", "10.0.0.1")
    attempts.count("anna", "10.0.0.1")
    attempts.succeeded("anna", "10.0.0.1")
    assert attempts.wait_s("anna", "10.0.0.1") == 0


@pytest.fixture
def page(tmp_path, monkeypatch):
    router = APIRouter(prefix="/api")

    @router.post("/sum")
    async def add(body: list[int], user: Engineer):
        return sum(body)

    @router.post("/teach/{project}/uploads")
    async def uploads(project: str, file: UploadFile, user: Engineer):
        return {"bytes": len(await file.read())}

    @router.post("/raw")
    async def raw(request: Request, user: Anybody):
        return {"bytes": len(await request.body())}

    monkeypatch.setattr(application, "routers", lambda: iter([router]))
    return make_page(tmp_path)


def test_an_address_that_asks_too_often_waits(page):
    browser = client(page, reads=Rate(0.01, 3))
    assert [browser.get("/api/x").status_code for _ in range(4)] == [404, 404, 404, 429]
    refused = browser.get("/api/x")
    assert refused.json()["error"]["text"] == "Too many requests: wait a moment."
    assert int(refused.headers["retry-after"]) > 50
    assert browser.post("/api/raw").status_code == 200


def test_changes_have_a_limit_of_their_own(page):
    browser = client(page, changes=Rate(0.01, 2))
    assert [browser.post("/api/raw").status_code for _ in range(3)] == [200, 200, 429]
    assert browser.get("/api/x").status_code == 404


def test_a_body_that_is_too_large_is_refused_by_its_length_and_while_it_comes(page):
    browser = client(page, Role.ENGINEER)
    large = b"[" + b"1," * MOST_BYTES + b"1]"
    assert browser.post("/api/sum", content=large).status_code == 413

    def parts():
        for _ in range(MOST_BYTES // 1000 + 2):
            yield b"1" * 1000

    headers = {"Content-Type": "application/json"}
    refused = browser.post("/api/sum", content=parts(), headers=headers)
    assert (refused.status_code, refused.json()["error"]["text"]) == (413, "The request is too large: at most 1 MiB.")


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "9" * 5000, "²"])
def test_a_length_that_is_none_is_refused(page, length):
    refused = client(page).post("/api/raw", content=b"", headers={"Content-Length": length.encode()})
    assert refused.status_code == 413


def test_images_may_be_larger_and_only_where_they_are_uploaded(page):
    browser = client(page, Role.ENGINEER)
    files = {"file": ("a.png", b"x" * (2 * MOST_BYTES))}
    assert browser.post("/api/teach/bolt/uploads", files=files).json() == {"bytes": 2 * MOST_BYTES}
    assert browser.post("/api/sum", files=files).status_code == 413


def test_a_sender_that_falls_silent_is_not_waited_for(page, monkeypatch):
    monkeypatch.setattr(limits, "SILENT_S", 0.05)
    app = client(page).app

    async def silent():
        yield b"12"
        await asyncio.sleep(60)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as browser:
            return await browser.post("/api/raw", content=silent())

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, 408)
