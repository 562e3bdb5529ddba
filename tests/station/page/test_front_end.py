"""The page's files, without a browser: nothing from elsewhere, nothing that a strict policy refuses."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import edgekd.station.page

STATIC = Path(edgekd.station.page.__file__).parent / "static"
VENDOR = STATIC / "vendor"
HTML = sorted(STATIC.rglob("*.html"))
SCRIPTS = sorted(path for path in STATIC.rglob("*.js") if VENDOR not in path.parents)
SHEETS = sorted(STATIC.rglob("*.css"))
MOST_LINES = 250
NAMESPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")


def name_of(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


class Elements(HTMLParser):
    """The start tags of a page, and the text between scripts' tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.inline = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        self.inline += data if self._inside else ""


@pytest.mark.parametrize("path", HTML, ids=name_of)
def test_a_page_has_a_language_a_title_and_a_width_and_nothing_inline(path):
    elements = Elements(path.read_text(encoding="utf-8"))
    tags = dict(elements.found)
    assert tags["html"].get("lang") == "en"
    assert "title" in tags
    assert any(found.get("name") == "viewport" for tag, found in elements.found if tag == "meta")
    assert not any(found.get("http-equiv") for tag, found in elements.found if tag == "meta")
    assert elements.inline.strip() == ""
    for tag, attributes in elements.found:
        assert "style" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag


@pytest.mark.parametrize("path", HTML, ids=name_of)
def test_every_file_that_a_page_names_is_there(path):
    for _, attributes in Elements(path.read_text(encoding="utf-8")).found:
        target = attributes.get("src") or attributes.get("href") or ""
        if target.startswith("/static/"):
            assert (STATIC / target.removeprefix("/static/")).is_file(), target
        assert "//" not in target


@pytest.mark.parametrize("path", [*HTML, *SCRIPTS, *SHEETS], ids=name_of)
def test_nothing_comes_from_elsewhere(path):
    text = path.read_text(encoding="utf-8")
    for address in NAMESPACES:
        text = text.replace(address, "")
    assert re.findall(r"(?:https?|wss?)://[\w.-]+|@import|src:\s*url", text) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_writes_text_and_never_html_or_code(path):
    text = path.read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function|srcdoc"
    )
    assert re.findall(forbidden, text) == []
    assert len(text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_every_module_that_a_script_imports_is_there_and_exports_what_is_taken(path):
    text = path.read_text(encoding="utf-8")
    for taken, target in re.findall(r'^import\s+(?:\{([^}]*)\}\s+from\s+)?"([^"]+)"', text, re.MULTILINE):
        module = (path.parent / target).resolve()
        assert target.startswith("."), target
        assert module.is_file(), target
        if module.parent == VENDOR or "export * from" in module.read_text(encoding="utf-8"):
            continue
        exported = set(
            re.findall(
                r"^export (?:async )?(?:function|class|const|let) (\w+)",
                module.read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        names = {name.split(" as ")[0].strip() for name in taken.split(",") if name.strip()}
        assert names <= exported, names - exported


def test_what_is_not_ours_comes_with_its_licence():
    licence = (VENDOR / "LICENSE.txt").read_text(encoding="utf-8")
    assert "MIT License" in licence
    assert "Apache License" in licence
    assert sorted(path.name for path in VENDOR.iterdir()) == ["LICENSE.txt", "htm-preact.js"]
