"""The command `edgekd log`."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgekd.cli.options import DATA, OUTPUT, JsonFile
from edgekd.cli.output import answer, print_table, require_outputs, write_json_to

if TYPE_CHECKING:
    from edgekd.workflows.log import LogResult

HOURS = 24  # Rows of the table that are printed; --json has all.

app = typer.Typer(add_completion=False)


@app.command()
def log(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            help="Folder that 'edgekd inspect --out' wrote, or the log in it.",
            show_default=False,
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only verdicts from then on: a time such as 2026-03-01T14:00, or how long ago, such as 30min, 2h or "
            "7d. Default: all.",
            rich_help_panel=DATA,
        ),
    ] = None,
    verdict: Annotated[
        Literal["OK", "NG", "ERROR"] | None,
        typer.Option(help="Verdicts to list and to export. Default: NG listed, all exported.", rich_help_panel=DATA),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the verdicts as a table, .parquet or .csv. Default: none.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Show what a line did: verdicts and yield by hour, times, drift of the scores, the last NG.

    An inspection may go on writing into the log meanwhile.
    """
    from edgekd.workflows.log import log as run

    require_outputs(json, export)
    result = run(what, since=since, verdict=verdict, export=export)
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        _print(result, verdict or "NG", export)


def _print(result: LogResult, listed: str, export: Path | None) -> None:
    if result.first is None or result.last is None or result.good_share is None:
        _say(f"no verdicts in {result.log} in that time")
        return
    if len(result.by_hour) > HOURS:
        _say(f"the last {HOURS} of {len(result.by_hour)} rows; --json has all")
    rows = result.by_hour[-HOURS:]
    columns = ("hour", "source", "OK", "NG", "ERROR", "yield", "severity")
    names = _short({row["source"] for row in result.by_hour})
    print_table("verdicts by hour, local time", columns, [_hour_row(row, names) for row in rows])
    counts = ", ".join(f"{count} {name}" for name, count in result.verdicts.items())
    times = f"{_local(result.first):%Y-%m-%d %H:%M} to {_local(result.last):%Y-%m-%d %H:%M}"
    _say(f"{sum(result.verdicts.values())} parts, {times}: {counts}; yield {result.good_share:.2%}")
    if (whole := result.latency_ms.get("end_to_end")) is not None:
        _say("end to end: " + ", ".join(f"{name} {whole[name]:.1f} ms" for name in ("median", "p95", "p99")))
    for each in result.drift:
        _print_drift(each)
    _say(f"the last {listed}:" if result.listed else f"no {listed}")
    for row in result.listed:
        _say("  " + "  ".join(_verdict_row(row)))
    for row in reversed(result.notices):
        _say(f"reported {_local(row['time']):%m-%d %H:%M} on {row['source']}: {row['notice']}")
    for event in reversed(result.events):
        if event["kind"] != "ended":
            _say(f"note: {_local(event['time']):%m-%d %H:%M}: {event['text']}")
    if left := result.sessions["open"]:
        _say(f"note: {left} of {result.sessions['total']} runs go on, or were killed")
    if export is not None:
        _say(f"wrote {result.exported} verdicts to {export}")


def _hour_row(row: dict[str, Any], names: dict[str, str]) -> tuple[str, ...]:
    counts = (str(row[name]) for name in ("OK", "NG", "ERROR"))
    hour = f"{_local(row['hour']):%m-%d %H:%M}"
    return (hour, names[row["source"]], *counts, f"{row['good_share']:.2%}", _number(row["median_severity"], ".2f"))


def _short(sources: set[str]) -> dict[str, str]:
    """The last part of each source's path, where that tells them apart."""
    names = {source: re.split(r"[/\\]", source.rstrip("/\\"))[-1] for source in sources}
    return names if len(set(names.values())) == len(sources) else {source: source for source in sources}


def _print_drift(each: dict[str, Any]) -> None:
    good = "" if each["good_median"] is None else f"; of the good images {each['good_median']:.4g}"
    moved = f"{each['first_median']:.4g} in the first hour, {each['last_median']:.4g} in the last"
    _say(f"median score on {each['source']}: {moved}{good}")
    for line in each["notices"]:
        _say(f"  {line}")


def _verdict_row(row: dict[str, Any]) -> tuple[str, ...]:
    figures = row["error"] or f"{_number(row['score'], '.6g')}  severity {_number(row['severity'], '.2f')}"
    files = [row["heat_map"]] if row["heat_map"] else []
    return (f"{_local(row['time']):%m-%d %H:%M:%S}", row["name"], figures, *files)


def _number(value: float | None, form: str) -> str:
    return "\N{EN DASH}" if value is None else format(value, form)


def _local(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone()


def _say(line: str) -> None:
    answer.print(line, soft_wrap=True)
