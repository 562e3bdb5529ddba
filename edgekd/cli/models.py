"""edgekd models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd.cli.options import JsonFile
from edgekd.cli.output import answer, print_table, require_writable, write_json_to
from edgekd.cli.types import image_size

app = typer.Typer(add_completion=False)

# The words of 'edgekd models SYSTEM' for the types of settings.
TYPES = {"bool": "on or off", "int": "integer", "float": "number"}


@app.command()
def models(
    system: Annotated[
        str | None,
        typer.Argument(metavar="SYSTEM", help="Show this one, with its settings, image sizes and training defaults."),
    ] = None,
    size: Annotated[
        Any,
        typer.Option(
            parser=image_size,
            metavar="PIXELS|HEIGHTxWIDTH",
            help="Size of the image that MACs are counted for: the side of a square, or height and width.",
        ),
    ] = "256",
    json: JsonFile = None,
) -> None:
    """List the systems: parameters and MACs beside the papers' figures; of a single one also settings and defaults."""
    from edgekd.models import list_systems

    require_writable(json)
    described = list_systems(size, system)
    write_json_to(json, described)
    if json == Path("-"):
        return
    for entry in described:
        if system is not None:
            _print_defaults(entry)
        _print_counts(entry)


def _print_defaults(system: dict[str, Any]) -> None:
    timed, paper = system["timed"], system["training"]
    sizes, teachers = system["image_sizes"], system["teachers"]
    length = f"{paper['iterations']:,} iterations" if paper["iterations"] else f"{paper['epochs']} epochs"
    size_range = f"pixels, or HEIGHTxWIDTH; a side has {sizes['smallest']} and more, in steps of {sizes['step']}"
    rows = [
        ("--teacher", " ".join(teachers["default"]), " ".join(teachers["paper"]), teachers["takes"]),
        ("--size", " or ".join(map(str, timed["sizes"])), "256", size_range),
        ("--iterations", "as many as fit", length, "optimizer steps of all stages together"),
        ("--batch", timed["batch"], paper["batch"], "images a step"),
        ("--learning-rate", f"{timed['learning_rate']:g}", f"{paper['learning_rate']:g}", "of the first stage"),
        ("--schedule", timed["schedule"], paper["schedule"], "constant, step or cosine"),
        (
            "--augment",
            " ".join(timed["augment"]) or "none",
            " ".join(paper["augment"]) or "none",
            "changes of the images",
        ),
        ("", timed["optimizer"], paper["optimizer"], "optimizer"),
        ("", f"{timed['weight_decay']:g}", f"{paper['weight_decay']:g}", "weight decay"),
    ]
    title = f"{system['title']}: what 'edgekd train {system['system']}' takes where nothing else is given"
    print_table(title, ("option", "within --minutes", "--preset paper", ""), rows)
    settings = [
        (f"--set {setting['name']}", _shown(setting["default"]), _legal(setting)) for setting in system["settings"]
    ]
    print_table(f"{system['title']}: settings", ("option", "default", "takes"), settings)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _legal(setting: dict[str, Any]) -> str:
    choices = setting["choices"]
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if choices else TYPES[setting["type"]]


def _print_counts(system: dict[str, Any]) -> None:
    parts = [
        (name, f"{part['parameters']:,}", f"{part['macs'] / 1e9:.2f}", f"{2 * part['macs'] / 1e9:.2f}")
        for name, part in system["parts"].items()
    ]
    height, width = system["size"]
    title = f"{system['title']} at {height} x {width}"
    print_table(title, ("part", "parameters", "GMACs", "GFLOPs (2 x MAC)"), parts)
    paper = system["paper"]
    rows = [
        (
            row["row"],
            row["table"],
            _printed(row["paper_parameters_m"]),
            f"{row['parameters'] / 1e6:.6f}",
            _printed(row["paper_gflops"]),
            f"{row['gflops']:.2f}",
        )
        for row in paper["rows"]
    ]
    if not rows:
        answer.print(f"{paper['source']} prints no counts that are known here.\n")
        return
    columns = ("paper's row", "table", "M params", "ours", "GFLOPs", "ours")
    print_table(f"{paper['source']}, at 256 x 256", columns, rows)
    answer.print(f"The paper's GFLOPs: {paper['flops_convention']}.\n")


def _printed(figure: float | None) -> str:
    return "" if figure is None else f"{figure:g}"
