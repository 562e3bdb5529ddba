"""A station's configuration: what a mistyped or contradictory file is answered with."""

import os

import pytest

from edgekd.errors import EdgekdError
from edgekd.station.configuration_file import read_configuration, warnings_of
from edgekd.station.live_folder import live_folder

TEXT = """
data = "data"
recipes = "recipes"

[cameras.top]
kind = "opencv"
source = "0"

[cameras.side]
kind = "video"
source = "side.avi"

[[stations]]
name = "one"
cameras = ["top"]

[[stations]]
name = "two"
unit = 2
cameras = ["side"]

[modbus]
port = 1502

[storage]
low = 0.2
"""


@pytest.fixture
def written(tmp_path):
    (tmp_path / "recipes").mkdir()

    def write(old="", new="", more=""):
        assert old in TEXT
        path = tmp_path / "station.toml"
        path.write_text((TEXT.replace(old, new) if old else TEXT) + more)
        return path

    return write


def test_paths_are_relative_to_the_file(written, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    configuration = read_configuration(written())
    assert configuration.data == tmp_path / "data"
    assert configuration.recipes == tmp_path / "recipes"
    assert configuration.cameras["side"].source == str(tmp_path / "side.avi")
    assert configuration.cameras["top"].source == "0"
    assert [station.unit for station in configuration.stations] == [1, 2]
    assert warnings_of(configuration) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "0"', 'sorce = "0"', "cameras.top.sorce is not known: did you mean source"),
        ('kind = "opencv"', 'kind = "usb"', "cameras.top.kind must be 'opencv', 'url', 'gstreamer'"),
        ('source = "0"', "source = 0", "cameras.top.source must be text, got 0"),
        ("port = 1502", "port = 70000", "modbus.port must be at most 65535, got 70000"),
        ("port = 1502", 'port = "1502"', "modbus.port must be an integer, got '1502'"),
        ("[modbus]\n", "[modbuss]\n", "modbuss is not known: did you mean modbus"),
        ("[storage]\nlow = 0.2", "[storage]\nlow = 0.04", "storage.least must be less than storage.low"),
        ('recipes = "recipes"', 'recipes = "recipe"', "recipes names {folder}/recipe, which does not exist"),
        ('cameras = ["top"]', 'cameras = ["tpo"]', "the camera tpo, which is not there: did you mean top"),
        ('cameras = ["top"]', 'cameras = ["front"]', "the camera front, which is not there: add [cameras.front]"),
        ('cameras = ["top"]', "cameras = []", "station one has no camera: name one of top, side"),
        ('cameras = ["top"]', 'cameras = ["side"]', "the camera side is named twice: only one station can trigger it"),
        ('name = "two"', 'name = "one"', "two stations have the name one"),
        ("unit = 2", "unit = 1", "two stations have the unit 1"),
        ("unit = 2", "unit = 0", "stations[1].unit must be at least 1, got 0"),
        (
            'cameras = ["top"]',
            'trigger = "camera"\ncameras = ["top", "side"]',
            "station one is triggered by its camera, and has 2: name one",
        ),
        ("unit = 2", 'unit = 2\ntrigger = "opcua"', "station two is triggered by opcua: add [opcua]"),
        ("unit = 2", 'unit = 2\ntrigger = ["modbus", "timer"]', "stations[1].trigger must be 'modbus', 'opcua',"),
        ('name = "two"', 'name = "t w o"', "stations[1].name must be 1 to 64 letters"),
        ("[storage]", "[opcua]\nport = 1502\n[storage]", "modbus.port and opcua.port are both 1502"),
        ("[storage]", '[opcua]\nnodeset = "x.xml"\n[storage]', "opcua.nodeset names {folder}/x.xml, which does not"),
        (
            "[storage]",
            '[opcua]\ncertificate = "c"\n[storage]',
            "opcua.certificate and opcua.private_key belong together",
        ),
        ("[storage]", '[webhook]\nurl = "ftp://x"\n[storage]', "webhook.url must begin with https:// or http://"),
        ("[storage]", '[mqtt]\nhost = "b"\ncommands = ["job"]\n[storage]', "mqtt.commands need a broker that knows"),
        ("[storage]", '[mqtt]\nhost = "b"\nusername = "u"\n[storage]', "mqtt.username and mqtt.password_file belong"),
        ("[storage]", '[cameras.far]\nkind = "genicam"\nsource = "1"\n[storage]', "cameras.far.producer is missing"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(written, tmp_path, old, new, message):
    path = written(old, new)
    with pytest.raises(EdgekdError) as caught:
        read_configuration(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message.format(folder=tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="rights of files")
def test_a_password_that_others_may_read_is_refused(written, tmp_path):
    (tmp_path / "password").write_text("secret")
    more = '[mqtt]\nhost = "broker"\nusername = "u"\npassword_file = "password"\n'
    (tmp_path / "password").chmod(0o640)
    with pytest.raises(EdgekdError, match="chmod 600") as caught:
        read_configuration(written(more=more))
    assert "secret" not in str(caught.value)
    (tmp_path / "password").chmod(0o600)
    assert read_configuration(written(more=more)).mqtt.password_file == tmp_path / "password"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port = 1502", 'host = "0.0.0.0"', "modbus.host 0.0.0.0 is open to the network, and any machine"),
        ("port = 1502", 'host = "10.0.0.2"\nclients = ["10.0.0.1"]', "Modbus knows no password"),
        ("port = 1502", "port = 502", "modbus.port 502 needs the capability CAP_NET_BIND_SERVICE"),
        ('cameras = ["side"]', 'cameras = ["far"]', "the camera side belongs to no station"),
        (
            "[storage]",
            '[opcua]\nhost = "::"\nallow_unencrypted = true\n[storage]',
            "opcua.host :: is open to the network",
        ),
        ("[storage]", '[mqtt]\nhost = "broker"\ntls = false\n[storage]', "mqtt.host broker is reached without TLS"),
        ("[storage]", '[webhook]\nurl = "http://a.example/x"\n[storage]', "is not encrypted: use https"),
    ],
)
def test_what_may_be_meant_and_may_be_a_mistake_is_warned_of(written, old, new, message):
    configuration = read_configuration(written(old, new, more='[cameras.far]\nkind = "opencv"\nsource = "2"\n'))
    assert [line for line in warnings_of(configuration) if message in line]


def test_a_file_that_is_missing_or_no_file_is_named(tmp_path):
    with pytest.raises(EdgekdError, match="No such file"):
        read_configuration(tmp_path / "station.toml")
    with pytest.raises(EdgekdError, match="it is a folder"):
        read_configuration(tmp_path)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('host = "0.0.0.0"', "page.host 0.0.0.0 is open to the network: passwords need page.certificate"),
        ('host = "line-3.example"', "page.host line-3.example is open to the network"),
        ('certificate = "page.pem"', "page.certificate and page.private_key belong together"),
        ("port = 1502", "modbus.port and page.port are both 1502"),
        ('certificate = "none.pem"\nprivate_key = "none.key"', "none.pem, which does not exist"),
    ],
)
def test_a_page_that_would_give_passwords_away_or_cannot_be_served_is_refused(written, page, expected):
    with pytest.raises(EdgekdError, match=expected):
        read_configuration(written(more=f"[page]\n{page}\n"))


def test_a_page_on_the_network_has_a_certificate_and_a_key_that_nobody_else_reads(written, tmp_path):
    for name in ("page.pem", "page.key"):
        (tmp_path / name).touch(mode=0o644)
    more = '[page]\nhost = "0.0.0.0"\nport = 443\ncertificate = "page.pem"\nprivate_key = "page.key"\n'
    with pytest.raises(EdgekdError, match=r"page.private_key: others may read .*page.key: 'chmod 600"):
        read_configuration(written(more=more))
    (tmp_path / "page.key").chmod(0o600)
    configuration = read_configuration(written(more=more))
    assert configuration.page.certificate == tmp_path / "page.pem"
    assert any("page.port 443 needs the capability" in warning for warning in warnings_of(configuration))
    assert read_configuration(written(more="[page]\n")).page.host == "127.0.0.1"


def test_the_newest_images_lie_in_memory_where_the_system_has_a_folder_for_that(written, tmp_path, monkeypatch):
    configuration = read_configuration(written())
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert live_folder(configuration) == tmp_path / "data" / "live"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/edgekd:/run/other")
    assert str(live_folder(configuration)) == "/run/edgekd/live"
