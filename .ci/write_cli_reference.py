"""Writes the reference of the commands from the commands themselves.

python .ci/write_cli_reference.py docs/reference/cli.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer

from edgekd.cli.main import app

INTRODUCTION = """# Commands

Every command as `edgekd COMMAND --help` describes it. Exit codes: 0 done; 1 done, and the answer is no; 2 a mistake in
the input; 3 the machine lacks something; 4 a fault of edgekd; 129, 130 and 143 ended by a signal.
"""


def reference() -> str:
    """The page in Markdown: the options of `edgekd` itself, then each command."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="edgekd")
    return "\n".join([INTRODUCTION, *_options(group, context), *_commands(group, context, 2)])


def _commands(group: Any, context: Any, level: int) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = typer.Context(command, info_name=name, parent=context)
        yield f"{'#' * level} {inner.command_path}\n"
        yield f"{_text(command.help)}\n"
        yield f"    {command.get_usage(inner).removeprefix('Usage: ')}\n"
        yield from _arguments(command)
        yield from _options(command, inner)
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner, level + 1)


def _arguments(command: Any) -> Iterator[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    if arguments:
        yield _table(("Argument", ""), [(f"`{_placeholder(it)}`", _help(it)) for it in arguments])


def _options(command: Any, context: Any) -> Iterator[str]:
    panels: dict[str, list[tuple[str, str]]] = {}
    for option in command.get_params(context):
        if option.param_type_name == "option" and option.name != "help" and not option.hidden:
            panel = option.rich_help_panel or "Options"
            panels.setdefault(panel, []).append((_option_name(option), _help(option)))
    for panel, rows in panels.items():
        yield _table((panel, ""), rows)


def _option_name(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts + option.secondary_opts)
    return names if option.is_flag else f"{names} `{_placeholder(option)}`"


def _placeholder(parameter: Any) -> str:
    choices = get_args(parameter.type_descriptor.annotation)
    return str(parameter.metavar or "|".join(map(str, choices)) or str(parameter.name).upper())


def _help(parameter: Any) -> str:
    required = parameter.required and parameter.param_type_name == "option"
    return _text(parameter.help) + (" Required." if required else "")


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
