"""edgekd recipes make, list, release, retire, bring-back and revise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgekd.cli.options import DATA, JsonFile
from edgekd.cli.types import between, positive

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make, list, release, retire and bring back a station's recipes: what judges a product, and how.",
)

Recipes = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the recipes, as the station's configuration names it.")
]
Revision = Annotated[
    Path, typer.Argument(metavar="DIR/ID/REVISION", help="Folder of the revision.", show_default=False)
]
By = Annotated[str, typer.Option(metavar="NAME", help="Who makes the change; it stays on record.")]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Data folder of the station, which may be running: the change is put into its audit trail. Default: none.",
        show_default=False,
    ),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why the change is made; it stays on record.")]


@app.command()
def make(
    what: Annotated[
        Path,
        typer.Argument(metavar="FILE|RUN", help="An .onnx or .engine artifact, or a run that was exported."),
    ],
    recipes: Recipes,
    name: Annotated[
        str, typer.Option("--id", metavar="NAME", help="Name of the recipe; of an existing one, the next revision.")
    ],
    job: Annotated[int, typer.Option(parser=positive, metavar="N", help="What the PLC asks for, 1 to 999.")],
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Camera of the station that sees the part; once for each of several. Default: camera.",
            rich_help_panel=DATA,
        ),
    ] = None,
    trigger: Annotated[
        Literal["free_run", "software", "hardware"],
        typer.Option(
            help="How these cameras are triggered; a USB camera or a stream has free_run alone. Default: software.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = "software",
    good: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Good images to take references from. Default: those that the run held out.",
            rich_help_panel=DATA,
        ),
    ] = None,
    ng: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Defective images to take references from. Default: none.", rich_help_panel=DATA
        ),
    ] = None,
    product: Annotated[
        str, typer.Option(metavar="TEXT", help="The product, in words. Default: empty.", show_default=False)
    ] = "",
    deadline: Annotated[
        float,
        typer.Option(
            parser=between(1, 600_000),
            metavar="MS",
            help="Longest time from trigger to answer, in milliseconds. Default: 500.",
            show_default=False,
        ),
    ] = 500,
    json: JsonFile = None,
) -> None:
    """Make a draft from a detector, with reference images for the station's self-test."""
    from edgekd.cli.output import answer, require_writable, write_json_to
    from edgekd.cli.progress import show_progress
    from edgekd.station.recipe_making import make_recipe

    require_writable(json)
    with show_progress() as progress:
        folder = make_recipe(
            what,
            recipes,
            name,
            job,
            cameras=tuple(camera or ("camera",)),
            trigger=trigger,
            product=product,
            good=good,
            ng=ng,
            deadline_ms=deadline,
            progress=progress,
        )
    write_json_to(json, {"folder": str(folder)})
    if json != Path("-"):
        answer.print(
            f"made the draft {folder}: edit recipe.toml in it, then "
            f"'edgekd recipes release {folder} --by NAME --reason TEXT'",
            soft_wrap=True,
        )


@app.command("list")
def list_(
    recipes: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the recipes.")], json: JsonFile = None
) -> None:
    """List every revision, its job, its status and what is wrong with it."""
    from edgekd.cli.output import answer, print_table, write_json_to
    from edgekd.station.recipe_store import list_recipes, problem_of

    stored = list_recipes(recipes)
    rows = [
        {
            "id": each.id,
            "revision": each.revision,
            "status": each.status,
            "job": None if each.recipe is None else each.recipe.job,
            "product": None if each.recipe is None else each.recipe.product,
            "digest": each.digest or None,
            "problem": problem_of(each) or None,
        }
        for each in stored
    ]
    write_json_to(json, rows)
    if json == Path("-"):
        return
    columns = ("id", "revision", "job", "status", "digest", "product")
    cells = [tuple("" if row[name] is None else str(row[name])[:12] for name in columns[:-1]) for row in rows]
    table = [(*each, row["product"] or "") for each, row in zip(cells, rows, strict=True)]
    print_table("recipes", columns, table, text_columns=len(columns))
    for row in rows:
        if row["problem"]:
            answer.print(f"note: {row['id']}/{row['revision']}: {row['problem']}", soft_wrap=True)


@app.command()
def release(folder: Revision, by: By, reason: Reason, data: Data = None) -> None:
    """Release a draft: stations may judge by it, its files never change again, and the one before it is retired."""
    from edgekd.cli.output import answer
    from edgekd.station.recipe_changes import in_use, on_record
    from edgekd.station.recipe_release import release as run

    with on_record(data, by, "release recipe", folder, reason) as change:
        change.old = in_use(folder)
        digest = run(folder, by, reason)
        change.new = f"digest {digest}"
    answer.print(f"released {folder}, digest {digest}", soft_wrap=True)


@app.command()
def retire(folder: Revision, by: By, reason: Reason, data: Data = None) -> None:
    """Take a released revision out of use; its files stay, since the record names them."""
    from edgekd.cli.output import answer
    from edgekd.station.recipe_changes import on_record
    from edgekd.station.recipe_release import retire as run

    with on_record(data, by, "retire recipe", folder, reason) as change:
        run(folder, by, reason)
        change.old, change.new = "released", "retired"
    answer.print(f"retired {folder}", soft_wrap=True)


@app.command("bring-back")
def bring_back(folder: Revision, by: By, reason: Reason, data: Data = None) -> None:
    """Put an earlier release into use again, as the next revision; the one in use until now is retired."""
    from edgekd.cli.output import answer
    from edgekd.station.recipe_changes import in_use, name_of, on_record
    from edgekd.station.recipe_release import bring_back as run

    with on_record(data, by, "bring back recipe", folder, reason) as change:
        change.old = in_use(folder)
        change.folder, digest = run(folder, by, reason)
        change.new = f"{name_of(change.folder)}, digest {digest}, as {name_of(folder)}"
    answer.print(f"brought {folder} back as {change.folder}, digest {digest}", soft_wrap=True)


@app.command()
def revise(
    folder: Revision,
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Who revises. Default: the name of your login.", show_default=False)
    ] = "",
    data: Data = None,
) -> None:
    """Copy a revision as a draft under the next number, to be edited and released."""
    import getpass

    from edgekd.cli.output import answer
    from edgekd.station.recipe_changes import name_of, on_record
    from edgekd.station.recipe_release import next_revision

    with on_record(data, by or getpass.getuser(), "revise recipe", folder, "") as change:
        draft = next_revision(folder)
        change.new = f"draft {name_of(draft)}"
    answer.print(f"made the draft {draft}", soft_wrap=True)
