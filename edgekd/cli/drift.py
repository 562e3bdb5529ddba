"""The command `edgekd drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.options import DATA, JsonFile
from edgekd.cli.output import answer, print_table, require_writable, write_json_to
from edgekd.cli.progress import show_progress

if TYPE_CHECKING:
    from edgekd.workflows.drift import DriftResult

COLUMNS = {  # Of a row of the report: how the table heads it.
    "noise": "noise",
    "largest": "most",
    "mean": "mean",
    "rank_correlation": "rank",
    "image_auroc": "image",
    "pixel_auroc": "pixel",
    "verdict_flips": "flips",
}
DIGITS = {"image_auroc": 3, "pixel_auroc": 3}  # Others have four; so the table fits into 80 columns.

app = typer.Typer(add_completion=False)


@app.command()
def drift(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run whose artifacts were exported.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Category to compare on; docs/datasets.md lists the layouts.", rich_help_panel=DATA
        ),
    ],
    json: JsonFile = None,
) -> None:
    """Compare every exported precision of a run with the trained network.

    All get the same test images, on every back end of the CPU; each artifact's manifest keeps its own figures.
    """
    from edgekd.workflows.drift import drift as compare

    require_writable(json)
    with show_progress() as progress:
        result = compare(run, data=data, progress=progress)
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        _print(result)


def _print(result: DriftResult) -> None:
    rows = [
        (f"{row['precision']} {row['backend']}", *(_short(row[name], DIGITS.get(name, 4)) for name in COLUMNS))
        for row in result.rows
    ]
    title = f"{result.system} on {result.images} test images of {result.category}, compared with torch"
    print_table(title, ("artifact", *COLUMNS.values()), rows)
    answer.print(
        "noise: RMS change of the map, in standard deviations; most, mean: change of the map, over its range; rank: "
        "rank correlation of the scores; image, pixel: AUROC; flips: images with another verdict, each artifact by its "
        "own threshold",
        soft_wrap=True,
    )


def _short(value: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"
