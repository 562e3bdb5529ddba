"""The command `edgekd station`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def station(configuration: Annotated[Path | None, typer.Argument(metavar="CONFIG.toml")] = None) -> None:
    """Run a station beside the line."""
