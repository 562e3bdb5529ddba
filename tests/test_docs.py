"""Whether the pages describe what there is: pages, links, commands, options, settings, names."""

import ast
import functools
import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

import edgekd
from edgekd.cli.main import app
from edgekd.models.registry import SYSTEMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE_AT_BUILD = DOCS / "reference" / "cli.md"
PAGES = sorted([ROOT / "README.md", *(set(DOCS.rglob("*.md")) - {MADE_AT_BUILD})])
QUESTIONS = (  # What a process engineer asks; the page that answers it.
    ("how many images do I need?", "how-many-images"),
    ("which system?", "which-system"),
    ("how long does training take?", "training-time"),
    ("good parts are rejected", "good-parts-rejected"),
    ("defects are missed", "defects-missed"),
    ("the light or the part changed", "light-or-part-changed"),
    ("several products", "several-products"),
    ("teach a part at the line", "teach-at-the-line"),
    ("Jetson", "jetson"),
    ("RTX", "rtx"),
    ("Windows", "windows"),
    ("Docker", "docker"),
    ("without a network", "without-a-network"),
    ("from Python", "python"),
    ("with a GPU", "gpu"),
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code_blocks(page: Path) -> list[str]:
    """The text of a page's blocks, indented by four spaces or between fences."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^ {4,}\S.*\n?)+", plain, flags=re.MULTILINE)
    return [*fenced, *(re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in indented)]


def commands(page: Path) -> list[list[str]]:
    """The words of every call of edgekd in a page's blocks."""
    lines = "\n".join(code_blocks(page)).replace("\\\n", " ").splitlines()
    calls = []
    for line in lines:
        # What a shell would run: no comment, no [optional part], one call of several.
        for call in re.split(r"&&|;", re.sub(r"\s#.*|\[--.*?\]", "", line)):
            words = shlex.split(call) if "edgekd " in call and call.count("'") % 2 == 0 else []
            if words[:1] == ["edgekd"]:
                calls.append(words[1:])
    return calls


@functools.cache
def options_of(path: tuple[str, ...]) -> frozenset[str]:
    command = typer.main.get_command(app)
    for name in path:
        command = command.get_command(typer.Context(command), name)
        assert command is not None, path
    context = typer.Context(command)
    return frozenset(
        option
        for parameter in command.get_params(context)
        if parameter.param_type_name == "option"
        for option in (*parameter.opts, *parameter.secondary_opts)
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_the_pages_exists_and_takes_the_options_it_is_given(page):
    for words in commands(page):
        path = tuple(words[:2] if words[0] in ("teachers", "recipes", "users") else words[:1])
        given = {word.partition("=")[0] for word in words if re.match(r"--\w", word)}
        assert given <= options_of(path), f"edgekd {' '.join(words)}: {given - options_of(path)}"


def test_every_image_of_the_documentation_is_shown_on_a_page():
    shown = {
        (page.parent / found).resolve()
        for page in PAGES
        for found in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
    }
    kept = {path for path in (DOCS / "images").rglob("*") if path.is_file()}
    assert kept
    assert sorted(path.name for path in kept - shown) == []


def test_commands_are_found_in_the_pages():
    assert ["export", "runs/part"] in commands(DOCS / "tutorial.md")
    assert sum(len(commands(page)) for page in PAGES) > 80


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_to_a_file(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    for target in targets:
        path = (page.parent / target).resolve()
        assert not target or target.startswith("http") or path == MADE_AT_BUILD or path.exists(), target


@pytest.mark.parametrize(("question", "page"), QUESTIONS)
def test_every_question_is_one_click_from_the_readme_and_answered_with_something_to_run(question, page):
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert f"[{question}](docs/how-to/{page}.md)" in readme
    assert code_blocks(DOCS / "how-to" / f"{page}.md")


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = re.findall(r"[\w/-]+\.md", navigation)
    pages = {page.relative_to(DOCS).as_posix() for page in {*DOCS.rglob("*.md"), MADE_AT_BUILD}}
    assert set(listed) == pages
    assert len(listed) == len(pages)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_name_of_edgekd_in_the_pages_python_exists(page):
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "edgekd":
                assert hasattr(edgekd, node.attr), node.attr
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgekd"):
                for alias in node.names:
                    assert hasattr(importlib.import_module(node.module), alias.name), alias.name


def test_every_name_in_the_reference_of_python_exists():
    pages = (DOCS / "reference" / name for name in ("api.md", "api-parts.md"))
    names = [name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(), flags=re.MULTILINE)]
    assert names
    for name in names:
        module, _, member = name.rpartition(".")
        try:
            assert hasattr(importlib.import_module(module), member), name
        except ModuleNotFoundError as error:
            raise AssertionError(name) from error


def test_the_page_of_systems_names_every_system_and_setting():
    page = (DOCS / "systems.md").read_text()
    assert "`--teacher NAME`" in page
    assert "`--set NAME=VALUE`" in page
    for system in SYSTEMS.values():
        assert system.name in page
        for name in system.settings():
            assert f"`{name}`" in page, (system.name, name)


def test_every_system_has_its_export_recipe_its_row_in_the_readme_and_its_own_recipe():
    table = (ROOT / "README.md").read_text().partition("## Systems")[2].partition("##")[0]
    recipes = (DOCS / "how-to" / "paper-recipes.md").read_text()
    for system in SYSTEMS.values():
        assert f"| {system.title} |" in table
        assert f"edgekd train {system.name} " in recipes
        assert (ROOT / "export" / f"{system.name}.toml").is_file()


@pytest.mark.parametrize(
    ("page", "folder", "least"), [("reference/faults.md", "tests", 40), ("station/faults.md", "tests/station", 42)]
)
def test_every_fault_of_the_tables_names_a_test_that_there_is(page, folder, least):
    tables = re.findall(
        r"^\| what is injected .*\| test \|\n\|[-|]+\n((?:\|.*\n)+)", (DOCS / page).read_text(), re.MULTILINE
    )
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) >= least
    for row in rows:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", row.rpartition(" | ")[2])
        assert tests, row
        for file, name in tests:
            text = (ROOT / folder / file).read_text()
            assert re.search(rf"^(?:(?:async )?def {name}\(|{name} = )", text, re.MULTILINE), f"{file}::{name}"
