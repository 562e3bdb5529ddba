"""The pages of configuration and recipes name every field that there is, with its default."""

import re
from pathlib import Path

import pytest

from edgekd.station import configuration, recipes
from edgekd.station.error_codes import TEXTS, ErrorCode

DOCS = Path(__file__).parents[2] / "docs" / "station"
MODELS = {
    "configuration.md": (
        configuration.StationConfiguration,
        configuration.OneStation,
        configuration.CameraConfiguration,
        configuration.ModbusConfiguration,
        configuration.OpcUaConfiguration,
        configuration.MqttConfiguration,
        configuration.WebhookConfiguration,
        configuration.PageConfiguration,
        configuration.OutputsConfiguration,
        configuration.TimerConfiguration,
        configuration.Storage,
    ),
    "recipes.md": (
        recipes.Recipe,
        recipes.Release,
        recipes.Detector,
        recipes.CameraSettings,
        recipes.Reference,
        recipes.SelfTests,
        recipes.StopRules,
        recipes.Keep,
    ),
}


@pytest.mark.parametrize("page", MODELS)
def test_every_field_is_on_the_page_and_every_field_on_the_page_exists(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    fields = {name for model in MODELS[page] for name in model.model_fields}
    named = set(re.findall(r"`\[*([a-z0-9_]+)(?:\.NAME)?\]*`", text))
    assert fields <= named, fields - named
    listed = {
        name for row in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert listed <= fields, listed - fields


@pytest.mark.parametrize("page", MODELS)
def test_every_default_on_the_page_is_that_of_its_field(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    sections = re.split(r"^(?:## )?`\[+([a-z_]+)", text, flags=re.MULTILINE)
    models = {model.__name__: model for model in MODELS[page]}
    by_section = {
        "stations": "OneStation", "cameras": "CameraConfiguration" if page == "configuration.md" else "CameraSettings",
        "modbus": "ModbusConfiguration", "opcua": "OpcUaConfiguration", "mqtt": "MqttConfiguration",
        "webhook": "WebhookConfiguration", "page": "PageConfiguration",
        "storage": "Storage", "detector": "Detector", "self_tests": "SelfTests",
    }  # fmt: skip
    checked = 0
    for section, body in zip(sections[1::2], sections[2::2], strict=True):
        model = models.get(by_section.get(section, ""))
        for name, default in re.findall(r"^\| `(\w+)` \| `([^`|]+)` \|", body, re.MULTILINE):
            if model is None or default.startswith("{"):
                continue
            expected = model.model_fields[name].default
            shown = default.strip('"') if default.startswith('"') else default
            actual = {True: "true", False: "false"}.get(expected) if isinstance(expected, bool) else expected
            assert shown.replace("'", '"') == str(actual) or default.startswith("["), (section, name, default, expected)
            checked += 1
    assert checked > 3


def test_every_error_code_is_on_the_page_of_faults_as_people_read_it():
    text = (DOCS / "faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [(str(int(code)), *TEXTS[code]) for code in ErrorCode if code is not ErrorCode.NONE]
