"""The station's pages: configurations, recipes and payloads that they show are what the station reads and sends."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import pytest

from edgekd.station import error_codes, states
from edgekd.station.configuration import CameraConfiguration, StationConfiguration
from edgekd.station.configuration_file import read_configuration
from edgekd.station.line import payloads
from edgekd.station.line.webhook_request import Target
from edgekd.station.recipes import CameraSettings
from tests.station.counterparts import required_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).parents[2] / "docs" / "station"
BASE = 'data = "data"\nrecipes = "recipes"\n'
CAMERA = '[cameras.top]\nkind = "video"\nsource = "images"\n'
STATION = '[[stations]]\nname = "press"\ncameras = ["top"]\ntrigger = "camera"\n'
FILES = ("certificate", "private_key", "trusted", "nodeset", "certificate_authority", "password_file", "secret_file")
ADDED = {"birth", "seq", "delayed"}  # By the publisher.


def blocks(kind: str) -> list[Any]:
    """The blocks of a kind in the pages, with the page and the line of each as its id."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"^( *)```{kind}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            content = re.sub(rf"^{match[1]}", "", match[2], flags=re.MULTILINE)
            found.append(pytest.param(content, id=f"{page.name}:{text[: match.start()].count(chr(10)) + 1}"))
    return found


def is_recipe(shown: dict[str, Any]) -> bool:
    return any("kind" not in camera for camera in shown.get("cameras", {}).values())


@pytest.mark.parametrize("text", blocks("toml"))
def test_what_a_page_shows_of_a_configuration_or_a_recipe_is_read(text, tmp_path):
    shown = tomllib.loads(text)
    if is_recipe(shown):
        for settings in shown["cameras"].values():
            CameraSettings.model_validate(
                {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
            )
        return
    assert set(shown) <= set(StationConfiguration.model_fields)
    for name in re.findall(rf'^(?:# )?(?:{"|".join(FILES)}) = "(.*?)"', text, re.MULTILINE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "producer.cti").touch()
    (tmp_path / "recipes").mkdir()
    whole = text.replace("/opt/maker/lib/", "")
    if "stations" not in shown:
        whole = BASE + whole + ("" if "cameras" in shown else CAMERA)
        whole += STATION.replace("top", next(iter(shown.get("cameras", {"top": None}))))
    (tmp_path / "station.toml").write_text(whole)
    read_configuration(tmp_path / "station.toml")


def test_an_example_of_every_kind_of_camera_and_of_every_section_is_shown():
    shown = [tomllib.loads(block.values[0]) for block in blocks("toml")]
    cameras = [camera for each in shown for camera in each.get("cameras", {}).values()]
    kinds = set(get_type_hints(CameraConfiguration)["kind"].__args__)
    assert {camera.get("kind") for camera in cameras} >= kinds
    assert {name for each in shown for name in each} >= {
        "modbus",
        "opcua",
        "mqtt",
        "webhook",
        "page",
        "stations",
        "cameras",
    }


def test_every_field_of_every_payload_is_on_the_page_of_mqtt():
    text = (DOCS / "mqtt.md").read_text(encoding="utf-8").partition("\n## Payloads")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w/]+)`(?:, `\w+`)* \| (.*) \|$", text, re.MULTILINE))
    for topic, schema in (
        ("state", payloads.StatePayload),
        ("recipe", payloads.RecipePayload),
        ("counters", payloads.CountersPayload),
        ("alarm/CODE", payloads.AlarmPayload),
        ("selftest", payloads.SelfTestPayload),
        ("audit", payloads.AuditPayload),
    ):
        named = set(re.findall(r"`(\w+)`", rows[topic])) - ADDED
        assert named == set(get_type_hints(schema)) - {"station"}, topic
    example = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    fields = set(get_type_hints(payloads.ResultPayload))
    assert set(example) == fields | ADDED
    assert set(example["regions"][0]) == set(get_type_hints(payloads.RegionPayload))
    assert fields - {"station"} <= set(re.findall(r"`(\w+)`", text.partition("| field of")[2]))


def test_every_variable_of_opc_ua_is_on_its_page():
    required_package("asyncua")
    from edgekd.station.line.opcua_instance import RESULT_VALUES, VALUES

    text = (DOCS / "opcua.md").read_text(encoding="utf-8").partition("| below Inspection |")[2].partition("\n\n")[0]
    shown = {
        folder: set(re.findall(r"\b[A-Z]\w*[a-z]\w*", row))
        for folder, row in re.findall(r"^\| (\w+) \| (.*) \|$", text, re.MULTILINE)
    }
    for folder in shown:
        values = RESULT_VALUES if folder == "LastResult" else {name for name, (at, _) in VALUES.items() if at == folder}
        assert shown[folder] == set(values), folder
    assert set(shown) == {"LastResult", *(folder for folder, _ in VALUES.values())}


def test_the_signature_of_a_webhook_is_checked_as_the_page_shows():
    text = (DOCS / "mqtt.md").read_text(encoding="utf-8").partition("\n## Webhook")[2]
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    target = Target(urlsplit("https://mes.plant.example/inspections"), b"of the plant", None)
    for body, genuine in ((b'{"verdict": "NG"}', True), (b'{"verdict": "OK"}', False)):
        headers = target.headers("press1-7", b'{"verdict": "NG"}')
        names = {"secret": "of the plant", "headers": headers, "body": body}
        exec(program, names)
        assert names["genuine"] is genuine


def test_every_state_is_on_the_first_page_with_its_code():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z_]+) \| (\d+) \|", text, re.MULTILINE)
    assert rows == [(state.name, str(int(state))) for state in states.State]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_error_code_that_a_page_names_exists(page):
    codes = {str(int(code)) for code in error_codes.ErrorCode}
    named = re.findall(r"(?:ERROR|FAULT|WARNING|alarm|error) (\d{3})\b", page.read_text(encoding="utf-8"))
    assert set(named) <= codes
