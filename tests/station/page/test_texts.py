"""The page's texts: the same in every language, all that its scripts ask for, and none that nobody shows."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import edgekd.station.page

STATIC = Path(edgekd.station.page.__file__).parent / "static"
LANGUAGES = sorted(path.stem for path in (STATIC / "texts").glob("*.json"))
PARTS = ("common", "operator", "record", "recipes", "teach", "users")
PLURALS = {"zero", "one", "two", "few", "many", "other"}
SCRIPTS = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Texts by their keys; the forms of a plural are one text."""
    found = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and not (value and set(value) <= PLURALS):
            found.update(flat(value, f"{key}."))
        else:
            found[key] = value if isinstance(value, str) else " / ".join(value.values())
    return found


@cache
def texts(language: str) -> dict[str, str]:
    return flat(json.loads((STATIC / "texts" / f"{language}.json").read_text(encoding="utf-8")))


def values_in(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def code_of(script: Path) -> str:
    """A script without what it says to its readers."""
    return re.sub(r"^\s*/\*[\s\S]*?\*/|^\s*//.*$|\s//\s.*$", "", script.read_text(encoding="utf-8"), flags=re.MULTILINE)


def quoted() -> set[str]:
    """Whatever the scripts have in quotation marks that looks like a key, whole or with `${...}` in it."""
    pattern = rf'["\'`]((?:{"|".join(PARTS)})\.(?:\$\{{[^`]*?\}}|[\w.])+)["\'`]'
    return {key for script in SCRIPTS for key in re.findall(pattern, code_of(script))}


def as_pattern(key: str) -> re.Pattern[str]:
    """What keys a template may stand for."""
    return re.compile(r"[\w.]*".join(re.escape(part) for part in re.split(r"\$\{.*?\}(?:[^.`]*\})?", key)))


def test_there_are_english_and_german():
    assert {"en", "de"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_the_texts_of_english_with_the_same_values_in_them(language):
    english, other = texts("en"), texts(language)
    assert set(other) == set(english), set(other) ^ set(english)
    assert all(text.strip() for text in other.values())
    assert {key for key in english if values_in(english[key]) != values_in(other[key])} == set()


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_what_has_words_is_translated(language):
    """Long texts that are the same in both languages were forgotten."""
    same = {
        key
        for key, text in texts("en").items()
        if len(re.findall(r"(?<!\{)\b[^\W\d_]{3,}", text)) > 2 and text == texts(language)[key]
    }
    assert same == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_every_text_that_a_script_asks_for_exists(script):
    known = texts("en")
    asked = re.findall(r'\b(?:t|has)\(\s*"([\w.]+)"', code_of(script))
    missing = [key for key in asked if key not in known and not any(each.startswith(f"{key}.") for each in known)]
    assert missing == []
    for template in re.findall(r"\b(?:t|has)\(\s*`([^`]*)`", code_of(script)):
        pattern = as_pattern(template)
        assert any(pattern.fullmatch(key) for key in known), template


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("how", ["acked", "unread", "late"])
def test_what_became_of_an_answer_has_words(language, how):
    assert texts(language)[f"record.delivery.{how}"] != how


def test_no_text_is_there_that_no_script_shows():
    asked = quoted()
    whole = {key for key in asked if "$" not in key}
    patterns = [as_pattern(key) for key in asked if "$" in key]
    unused = {key for key in texts("en") if key not in whole and not any(each.fullmatch(key) for each in patterns)}
    unused = {key for key in unused if not any(key.startswith(f"{branch}.") for branch in whole)}
    assert unused == set()
