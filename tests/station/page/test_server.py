"""The page as a process of its own: what browsers are told, and what becomes of it when it dies or cannot start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import time

import httpx
import pytest
import trustme
from websockets.asyncio.client import connect

from edgekd.errors import MachineError
from edgekd.station.events import ImageStored, Reviewed
from edgekd.station.page import server
from edgekd.station.page.server import MOST_SNAPS, PageServer

from ..core.fakes import until
from .served import WAIT_S, Browser, ServedPage


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    served = ServedPage(tmp_path_factory.mktemp("served"))
    served.run(served.listening())
    yield served
    served.close()


def test_whoever_comes_gets_all_stations_and_then_numbered_changes(page):
    async def test():
        async with page.browser() as connection:
            browser = Browser(connection)
            first = await browser.next()
            assert (first["n"], first["kind"]) == (0, "snapshot")
            assert [view["station"] for view in first["stations"]] == ["press"]
            assert first["stations"][0]["lot"] == {"lot": "", "total": 0, "ok": 0, "ng": 0, "error": 0}
            assert set(first["recent"]) == {"press"}
            outcome = await page.bench.part(5)
            change = await browser.event("result")
            assert change["event"]["result"]["result_id"] == outcome.result_id
            assert change["event"]["result"]["images"] == {"original": False, "heat_map": False}
            view = await browser.view(results_ready=False, busy=False)
            assert view["counters"]["ok"] == view["lot"]["ok"] >= 1
            assert view["last"]["part_id"] == 5
            numbers = [message["n"] for message in browser.seen if message["kind"] == "change"]
            assert numbers == [*range(1, len(numbers) + 1)]

    page.run(test())


def test_an_image_that_is_stored_and_a_review_come_with_their_result(page):
    async def test():
        async with page.browser() as connection:
            browser = Browser(connection)
            outcome = await page.bench.part()
            await browser.event("result")
            page.bench.station.events.publish(ImageStored(outcome.result_id, "original"))
            stored = await browser.event("stored")
            assert stored["event"]["result"]["images"] == {"original": True, "heat_map": False}
            page.bench.station.events.publish(Reviewed(outcome.result_id, "anna", "bad", "a scratch"))
            reviewed = await browser.event("review")
            assert reviewed["event"]["result"]["reviews"][0]["label"] == "bad"
            assert reviewed["view"]["last"]["reviews"] == reviewed["event"]["result"]["reviews"]
        async with page.browser() as connection:
            later = await Browser(connection).next()
            assert later["recent"]["press"][0]["images"]["original"]
            assert later["stations"][0]["last"] == later["recent"]["press"][0]

    page.run(test())


def test_a_page_that_is_looked_at_is_watched_and_pinged(page):
    async def test():
        async with page.browser() as connection:
            browser = Browser(connection)
            while (await browser.next())["kind"] != "ping":
                pass
            await until(lambda: page.bench.inspector.watched == {"press"}, WAIT_S)

    page.run(test())


def test_monitors_read_health_readiness_state_and_figures(page):
    async def test():
        assert (await page.get("/healthz")).json() == {"ok": True}
        ready = await page.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": {"press": True}})
        assert (await page.get("/api/state")).json()["stations"][0]["station"] == "press"
        metrics = await page.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'edgekd_station_trigger_ready{station="press"} 1' in metrics.text
        async with page.browser() as connection:
            browser = Browser(connection)
            page.bench.station.set_online(False, "test")
            await browser.view(online=False)
            not_ready = await page.get("/readyz")
            assert (not_ready.status_code, not_ready.json()) == (503, {"ready": {"press": False}})
            page.bench.station.set_online(True, "test")
            await browser.view(trigger_ready=True)

    page.run(test())


def test_a_page_that_dies_is_started_again_and_is_a_warning_until_then(page):
    async def test():
        before = page.server.companion.process_id
        assert before is not None
        os.kill(before, signal.SIGKILL)
        await until(lambda: ("page", False) in page.bench.station.snapshot().links, WAIT_S)
        assert not page.bench.inspector.watched
        await page.bench.part()  # It goes on meanwhile.
        await page.listening()
        assert page.server.companion.process_id != before
        assert ("page", True) in page.bench.station.snapshot().links
        async with page.browser() as connection:
            assert (await Browser(connection).next())["stations"][0]["counters"]["total"] >= 3

    page.run(test())


@pytest.mark.faults
def test_a_page_that_hangs_holds_up_no_part_and_is_started_again(page):
    async def test():
        before = page.server.companion.process_id
        os.kill(before, signal.SIGSTOP)
        for number in range(200):
            began = time.monotonic()
            await page.bench.part(number)
            assert time.monotonic() - began < 1.0
        await until(lambda: ("page", False) in page.bench.station.snapshot().links, WAIT_S)
        await page.listening()
        assert page.server.companion.process_id != before

    page.run(test())


def test_a_port_that_is_taken_is_tried_again_and_said(tmp_path, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        served = ServedPage(tmp_path, port=taken.getsockname()[1])
        try:
            served.run(until_async(lambda: "the page cannot start" in caplog.text))
            assert ("page", False) in served.bench.station.snapshot().links
        finally:
            served.close()


def test_browsers_come_by_tls_where_there_is_a_certificate(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "page.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "page.key"))
    (tmp_path / "page.key").chmod(0o600)
    known = ssl.create_default_context()
    authority.configure_trust(known)
    served = ServedPage(tmp_path, certificate=tmp_path / "page.pem", private_key=tmp_path / "page.key")

    async def test():
        await served.listening()
        async with httpx.AsyncClient(verify=known, timeout=WAIT_S) as client:
            assert (await client.get(f"https://{served.address}/healthz")).json() == {"ok": True}
        async with connect(f"wss://{served.address}/ws", ssl=known) as connection:
            assert (await Browser(connection).next())["kind"] == "snapshot"

    try:
        served.run(test())
    finally:
        served.close()


async def until_async(condition):
    while not condition():
        await asyncio.sleep(0.02)


def test_the_oldest_images_that_were_asked_for_go(page):
    paths = []
    for _ in range(MOST_SNAPS + 3):
        paths.append(page.server.snap_path("press"))
        paths[-1].touch()
    left = sorted(paths[0].parent.iterdir())
    assert len(left) == MOST_SNAPS
    assert paths[-1] in left


def test_a_package_that_is_missing_is_named(page, monkeypatch):
    monkeypatch.setattr(server, "PACKAGES", {"argon2": "argon2-cffi"})
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"the page needs argon2-cffi.*edgekd\[page\]"):
        PageServer(page.configuration, (page.bench.station,))
