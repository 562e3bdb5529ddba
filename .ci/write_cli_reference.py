"""Writes the reference of the commands from the commands themselves.

python .ci/write_cli_reference.py docs/reference/cli.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from edgekd.cli.main import app

INTRODUCTION = """# Commands

Every command as `edgekd COMMAND --help` describes it. Exit codes: 0 done; 1 done, and the answer is no; 2 a mistake in
the input; 3 the machine lacks something; 4 a fault of edgekd; 130 interrupted.
"""


def reference() -> str:
    """The page in Markdown: the options of `edgekd` itself, then each command."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="edgekd")
    return "\n".join([INTRODUCTION, *_options(group, context, level=2), *_commands(group, context, level=2)])


def _commands(group: Any, context: Any, level: int) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = typer.Context(command, info_name=name, parent=context)
        yield f"{'#' * level} {inner.command_path}\n"
        yield f"{_text(command.help)}\n"
        yield f"    {command.get_usage(inner).removeprefix('Usage: ')}\n"
        yield from _arguments(command)
        yield from _options(command, inner, level + 1)
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner, level + 1)


def _arguments(command: Any) -> Iterator[str]:
    rows = [(f"`{_placeholder(it)}`", _help(it)) for it in command.params if it.param_type_name == "argument"]
    if rows:
        yield _table(("argument", ""), rows)


def _options(command: Any, context: Any, level: int) -> Iterator[str]:
    panels: dict[str, list[tuple[str, str]]] = {}
    for option in command.get_params(context):
        if option.param_type_name != "option" or option.name == "help":
            continue
        panel = getattr(option, "rich_help_panel", None) or "Options"
        panels.setdefault(panel, []).append((_option_name(option), _help(option)))
    for panel, rows in panels.items():
        yield _table((panel, ""), rows)


def _option_name(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts + option.secondary_opts)
    return names if option.is_flag else f"{names} `{_placeholder(option)}`"


def _placeholder(parameter: Any) -> str:
    choices = getattr(parameter.type, "choices", None)
    if parameter.metavar:
        return str(parameter.metavar)
    return "|".join(map(str, choices)) if choices else str(parameter.human_readable_name or parameter.name).upper()


def _help(parameter: Any) -> str:
    text = _text(getattr(parameter, "help", None))
    required = "Required." if parameter.required and parameter.param_type_name == "option" else ""
    shown = getattr(parameter, "show_default", False) and parameter.default not in (None, False, [], ())
    default = (
        f"Default: {parameter.default}." if shown and "efault" not in text and not callable(parameter.default) else ""
    )
    return " ".join(part for part in (text, required, default) if part)


def _text(help_text: str | None) -> str:
    """A help text as Markdown: nothing in it is markup."""
    text = (help_text or "").replace("\b", "").strip()
    for character in "\\*_<>[]":
        text = text.replace(character, f"\\{character}")
    return text


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = ["| {} | {} |".format(*head), "|---|---|"]
    lines += ["| {} | {} |".format(*(" ".join(cell.split()).replace("|", "\\|") for cell in row)) for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(reference(), encoding="utf-8")
