"""What anybody may look at without logging in: the websocket, the newest images, health and figures."""

from __future__ import annotations

import pytest
from starlette.websockets import WebSocketDisconnect

from edgekd.station.page.metrics import metrics_of
from edgekd.station.page.routes import live

from .stage import client, make_page

VIEW = {
    "station": "line",
    "state": {"code": 6, "fault": 0, "warning": False},
    "trigger_ready": True,
    "busy": False,
    "results_ready": False,
    "alarms": [],
    "counters": {"ok": 8, "ng": 1, "error": 1, "missed": 2},
    "self_test": {"due": False},
    "storage": {"free": 0.5},
    "links": {"plc": True, 'br"oker\\': False},
    "uptime_s": 12,
}


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path, {"line": VIEW})


def receive(socket):
    """The next message that is no ping."""
    while (message := socket.receive_json())["kind"] == "ping":
        pass
    return message


def test_a_websocket_brings_everything_and_then_what_changes(page):
    with client(page) as browser, browser.websocket_connect("/ws") as socket:
        first = receive(socket)
        assert first["n"] == 0
        assert first["stations"] == [VIEW]
        assert first["recent"] == {"line": []}
        page.link.tell("line", {"name": "job", "job": {}})
        change = {"n": 1, "kind": "change", "station": "line", "view": None, "event": {"name": "job", "job": {}}}
        assert receive(socket) == change
    assert page.link.followers == 0


def test_a_websocket_is_pinged_while_nothing_happens(page, monkeypatch):
    monkeypatch.setattr(live, "PING_S", 0.02)
    with client(page) as browser, browser.websocket_connect("/ws") as socket:
        socket.receive_json()
        assert [socket.receive_json() for _ in range(3)] == [{"kind": "ping"}] * 3


def test_whoever_was_too_slow_is_asked_to_begin_anew(page):
    with client(page) as browser, browser.websocket_connect("/ws") as socket:
        socket.receive_json()
        (follower,) = page.link.followers_
        follower.close()
        follower.put(None)
        with pytest.raises(WebSocketDisconnect) as closed:
            receive(socket)
        assert closed.value.code == live.AGAIN


def test_more_websockets_than_there_may_be_are_refused(page, monkeypatch):
    monkeypatch.setattr(live, "MOST_SOCKETS", 0)
    with pytest.raises(WebSocketDisconnect) as refused, client(page).websocket_connect("/ws"):
        pass
    assert refused.value.code == live.BUSY


def test_a_page_elsewhere_cannot_follow(page):
    with pytest.raises(WebSocketDisconnect), client(page).websocket_connect("/ws", headers={"origin": "http://evil"}):
        pass


def test_the_newest_images_are_given_and_what_is_not_there_is_404(page, monkeypatch):
    folder = page.live / "line"
    folder.mkdir()
    (folder / "7.jpg").write_bytes(b"small")
    (folder / "8_map.jpg").write_bytes(b"map")
    (folder / "8.jpg").write_bytes(b"small")
    browser = client(page)
    answer = browser.get("/api/stations/line/live/7/original")
    assert (answer.content, answer.headers["content-type"]) == (b"small", "image/jpeg")
    assert browser.get("/api/stations/line/live/8/heat_map").content == b"map"
    assert browser.get("/api/stations/line/live/7/heat_map").status_code == 404  # An OK part has none.
    monkeypatch.setattr(live, "IMAGE_S", 0.05)
    assert browser.get("/api/stations/line/live/9/original").status_code == 404
    assert browser.get("/api/stations/other/live/7/original").status_code == 404
    assert browser.get("/api/stations/line/live/7/../8").status_code == 404
    assert browser.get("/api/stations/line/live/-7/original").status_code in (404, 422)
    assert browser.get("/api/stations/line/live/seven/original").status_code == 422


def test_figures_name_stations_and_links_and_escape_what_would_break_them():
    text = metrics_of([VIEW], 3)
    assert "edgekd_station_page_followers 3" in text
    assert 'edgekd_station_parts{station="line",verdict="NG"} 1' in text
    assert 'edgekd_station_link{station="line",link="plc"} 1' in text
    assert r'edgekd_station_link{station="line",link="br\"oker\\"} 0' in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
