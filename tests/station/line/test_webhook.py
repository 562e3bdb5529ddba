"""Results posted to a real HTTP server: signed, in order, at least once, and without anybody waiting for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from edgekd.errors import EdgekdError
from edgekd.result import Verdict
from edgekd.station.configuration import WebhookConfiguration
from edgekd.station.line.webhook import Webhook

from .mosquitto import free_port, queued, run, serving
from .mqtt_scripted import ScriptedStation

OK_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Request(NamedTuple):
    """What a server got."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        content = json.loads(self.body)
        assert isinstance(content, dict)
        return content


class Receiver:
    """A server that answers each request as `answer` says; b"" says nothing at all."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], bytes] = lambda _: OK_ANSWER
        self.tls: ssl.SSLContext | None = None
        self.open = 0
        self._arrived = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=self.tls)
        yield server.sockets[0].getsockname()[1]
        server.close()

    async def count(self, number: int) -> None:
        while len(self.requests) < number:
            self._arrived.clear()
            await self._arrived.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            request = Request(head[0].split()[1], headers, body)
            self.requests.append(request)
            self._arrived.set()
            answer = self.answer(request)
            for start in range(0, len(answer), 4096):
                writer.write(answer[start : start + 4096])
                await writer.drain()
            if not answer:
                await reader.read()
        self.open -= 1
        writer.close()


def webhook_of(station: Any, port: int, folder: Path, **settings: Any) -> Webhook:
    defaults: dict[str, Any] = {"url": f"http://127.0.0.1:{port}/results?line=1", "timeout_s": 5.0}
    return Webhook(station, WebhookConfiguration(**{**defaults, **settings}), folder)


def secret_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_results_of_the_wanted_verdicts_are_posted_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver, station = Receiver(), ScriptedStation()
        async with receiver.listening() as port, serving(webhook_of(station, port, tmp_path)):
            await asyncio.sleep(0)
            for result_id, verdict in enumerate((Verdict.OK, Verdict.NG, Verdict.ERROR, Verdict.OK, Verdict.NG), 1):
                station.publish(result_id, verdict)
            await receiver.count(3)
            assert [each.content["result_id"] for each in receiver.requests] == [2, 3, 5]
            first = receiver.requests[0]
            assert (first.target, first.headers["content-type"]) == ("/results?line=1", "application/json")
            assert (first.content["type"], first.content["version"], first.content["delayed"]) == ("result", 1, False)
            assert receiver.requests[1].content["score"] is None
            assert "webhook-signature" not in first.headers
            await until(lambda: station.links[-1:] == [("webhook", True)])

    run(scenario())


@pytest.mark.parametrize("secret", ["plain-words", "whsec_" + base64.b64encode(b"sixteen bytes 16").decode()])
def test_a_signature_shows_who_sent_it_and_that_nothing_was_changed(tmp_path: Path, secret: str) -> None:
    key = b"sixteen bytes 16" if secret.startswith("whsec_") else secret.encode()

    async def scenario() -> None:
        receiver, station = Receiver(), ScriptedStation()
        settings = {"secret_file": secret_file(tmp_path, secret)}
        async with receiver.listening() as port, serving(webhook_of(station, port, tmp_path, **settings)):
            await asyncio.sleep(0)
            station.publish(4, Verdict.NG)
            await receiver.count(1)
        (request,) = receiver.requests
        sent = request.headers
        assert sent["webhook-id"] == "press1-4"
        assert abs(int(sent["webhook-timestamp"]) - time.time()) < 5
        signed = f"press1-4.{sent['webhook-timestamp']}.".encode() + request.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert sent["webhook-signature"] == f"v1,{expected}"

    run(scenario())


def test_a_server_that_is_away_gets_what_it_missed_from_the_next_process_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        port, receiver = free_port(), Receiver()
        station = ScriptedStation()
        async with serving(webhook_of(station, port, tmp_path)):
            await asyncio.sleep(0)
            for result_id in range(1, 21):
                station.publish(result_id, Verdict.NG)
            await until(lambda: station.links == [("webhook", False)])
            await queued(tmp_path, 20)
        async with receiver.listening(port), serving(webhook_of(station, port, tmp_path)):
            await receiver.count(20)
            station.publish(21, Verdict.NG)
            await receiver.count(21)
        assert [each.content["result_id"] for each in receiver.requests] == list(range(1, 22))
        assert [each.content["delayed"] for each in receiver.requests] == [True] * 20 + [False]

    run(scenario())
    assert sum("cannot be reached" in record.getMessage() for record in caplog.records) == 1


def test_a_silent_server_holds_up_neither_the_station_nor_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        receiver, station = Receiver(), ScriptedStation()
        receiver.answer = lambda _: b""
        async with receiver.listening() as port:
            async with serving(webhook_of(station, port, tmp_path, timeout_s=0.3)):
                await asyncio.sleep(0)
                began = time.perf_counter()
                station.publish(1, Verdict.NG)
                await asyncio.sleep(0)
                assert time.perf_counter() - began < 0.25
                await receiver.count(2)
                assert [each.headers["webhook-id"] for each in receiver.requests] == ["press1-1"] * 2
                assert [each.content["delayed"] for each in receiver.requests] == [False, True]
                ended = time.perf_counter()
            assert time.perf_counter() - ended < 1
            await until(lambda: receiver.open == 0)

    run(scenario())
    assert "did not answer within 0.3 s; it is tried again, and results wait" in caplog.text


def test_a_server_that_answers_without_end_is_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver, station = Receiver(), ScriptedStation()
        receiver.answer = lambda _: b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000_000
        async with (
            receiver.listening() as port,
            serving(webhook_of(station, port, tmp_path, timeout_s=0.3)),
        ):
            await asyncio.sleep(0)
            station.publish(1, Verdict.NG)
            await until(lambda: station.links == [("webhook", False)])
            receiver.answer = lambda _: OK_ANSWER
            await until(lambda: station.links[-1] == ("webhook", True))

    run(scenario())


def test_redirects_are_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        receiver, elsewhere, station = Receiver(), Receiver(), ScriptedStation()
        async with receiver.listening() as port, elsewhere.listening() as other:
            moved = (
                f"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{other}/\r\nContent-Length: 0\r\n\r\n"
            )
            receiver.answer = lambda _: moved.encode()
            async with serving(webhook_of(station, port, tmp_path)):
                await asyncio.sleep(0)
                station.publish(1, Verdict.NG)
                await receiver.count(2)
        assert elsewhere.requests == []

    run(scenario())
    assert "redirects (307), which is not followed: correct webhook.url" in caplog.text


def test_what_a_server_refuses_for_good_does_not_block_what_follows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        receiver, station = Receiver(), ScriptedStation()
        statuses = iter(["503 Busy", "200 OK", "422 No", "204 Done"])
        receiver.answer = lambda _: f"HTTP/1.1 {next(statuses)}\r\nContent-Length: 0\r\n\r\n".encode()
        async with receiver.listening() as port, serving(webhook_of(station, port, tmp_path)):
            await asyncio.sleep(0)
            for result_id in (1, 2, 3):
                station.publish(result_id, Verdict.NG)
            await receiver.count(4)
            await asyncio.sleep(0.1)
        assert [each.content["result_id"] for each in receiver.requests] == [1, 1, 2, 3]

    run(scenario())
    assert "refuses press1-2 (422): it is not sent again" in caplog.text
    assert "answered 503; it is tried again" in caplog.text


def test_https_needs_a_certificate_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def scenario() -> None:
        receiver, station = Receiver(), ScriptedStation()
        receiver.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(receiver.tls)
        async with receiver.listening() as port:
            url = f"https://127.0.0.1:{port}/results"
            async with serving(webhook_of(station, port, tmp_path, url=url)):
                await asyncio.sleep(0)
                station.publish(1, Verdict.NG)
                await until(lambda: station.links == [("webhook", False)])
            assert receiver.requests == []
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            async with serving(webhook_of(station, port, tmp_path, url=url)):
                await receiver.count(1)

    run(scenario())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/results", "must be a URL such as https://host/path"),
        ("https:///results", "must be a URL such as https://host/path"),
        ("https://host:99999/", "must be a URL such as https://host/path"),
        ("https://host/a b", "must be a URL such as https://host/path"),
        ("https://host/\r\nX: y", "must be a URL such as https://host/path"),
        ("https://ann:secret@host/", "must not hold a user name or password: use webhook.secret_file"),
    ],
)
def test_a_url_that_cannot_be_posted_to_is_refused(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(EdgekdError, match=r"^webhook\.url") as caught:
        webhook_of(ScriptedStation(), 80, tmp_path, url=url)
    assert message in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [("words", 0o644, "is open to other users"), ("whsec_!!", 0o600, "must be base64"), ("whsec_", 0o600, "base64")],
)
def test_a_secret_that_others_can_read_or_that_is_none_is_refused(
    tmp_path: Path, text: str, mode: int, message: str
) -> None:
    with pytest.raises(EdgekdError, match=r"^webhook\.secret_file: ") as caught:
        webhook_of(ScriptedStation(), 80, tmp_path, secret_file=secret_file(tmp_path, text, mode))
    assert message in str(caught.value)


def test_a_url_with_a_token_in_its_path_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        station = ScriptedStation()
        url = f"http://127.0.0.1:{free_port()}/token-123"
        async with serving(webhook_of(station, 0, tmp_path, url=url)):
            await asyncio.sleep(0)
            station.publish(1, Verdict.NG)
            await until(lambda: station.links)

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert "cannot be reached" in caplog.text
    assert "token-123" not in caplog.text
