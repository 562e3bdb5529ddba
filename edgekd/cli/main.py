"""The entry point of the command line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated

import typer

from edgekd import __version__
from edgekd.cli.group import CommandGroup
from edgekd.cli.logs import show_logs
from edgekd.resources import docs_folder

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    help="From a folder of good images to a detector on a line.",
    epilog=f"The pages that help calls docs/PAGE.md are in {docs_folder()}.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edgekd {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def edgekd(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show details of what happens.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """From a folder of good images to a measured anomaly detector beside the line."""
    show_logs(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    context.obj = {"quiet": quiet}
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The words after the program's name; those of the process by default.

    Returns:
        The exit code; see `edgekd.cli.group.CommandGroup.main`.
    """
    code: int = typer.main.get_command(app).main(arguments, standalone_mode=False)
    return code
