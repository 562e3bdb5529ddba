"""The command `edgekd log`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgekd.cli.options import DATA, OUTPUT, JsonFile
from edgekd.cli.output import answer, print_table, require_outputs, write_json_to
from edgekd.errors import EdgekdError, few_of

if TYPE_CHECKING:
    from edgekd.workflows.log import LogResult

NOT_WHOLE = 1
NONE = "\N{EN DASH}"
HOURS = 24  # Rows of the table that are printed; --json has all.

app = typer.Typer(add_completion=False)


@app.command()
def log(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            help="Folder that 'edgekd inspect --out' wrote, a station's data folder, or the log in either.",
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
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only verdicts before that time, likewise. Default: all.", rich_help_panel=DATA
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
            help="Write the verdicts as a table, .parquet or .csv, or with images and digests, .zip. Default: none.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit",
            help="Print a station's audit trail instead: who changed what, when and why; and whether it is whole. Exit "
            "with code 1 if it is not.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    json: JsonFile = None,
) -> None:
    """Show what a line did: verdicts and yield by hour, times, drift of the scores, the last NG.

    An inspection or a station may go on writing into the log meanwhile.
    """
    from edgekd.workflows.log import log as run

    require_outputs(json, export)
    if audit:
        _audit(what, since, until, json, verdict is not None or export is not None)
        return
    result = run(what, since=since, until=until, verdict=verdict, export=export)
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        _print(result, verdict or "NG", export)


def _audit(what: Path, since: str | None, until: str | None, json: Path | None, has_others: bool) -> None:
    """Prints the audit trail; exits with code 1 where it is not whole."""
    from edgekd.workflows.audit import read_audit
    from edgekd.workflows.log import start_ms

    if has_others:
        raise EdgekdError("--audit prints the audit trail alone: leave out --verdict and --export")
    result = read_audit(what, 0 if since is None else start_ms(since), None if until is None else start_ms(until))
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        for entry in result.entries:
            who = " ".join(word for word in (entry.who, entry.role and f"({entry.role})", entry.address) if word)
            change = f": {entry.old or NONE} -> {entry.new or NONE}" if entry.old or entry.new else ""
            why = f", because: {entry.why}" if entry.why else ""
            _say(f"{entry.id}  {entry.local_time}  {who}  {entry.action} {entry.subject}{change}{why}")
        state = f"is not whole: {result.broken}" if result.broken else "is whole"
        _say(f"the audit trail of {result.log} {state}; {result.total} entries, the last hash is {result.head}")
    if result.broken:
        raise typer.Exit(NOT_WHOLE)


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
        images = f" and {result.exported_images} images" if result.exported_images else ""
        _say(f"wrote {result.exported} verdicts{images} to {export}")
    _say_images(result.missing_images, "cannot be read")
    _say_images(result.altered_images, "differ from what was written")


def _say_images(names: Sequence[str], what: str) -> None:
    if names:
        _say(f"note: {few_of(names)} of the images {what}")


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
    if row["error_code"]:
        figures = f"{row['error_code']} {figures}"
    files = [row["heat_map"]] if row["heat_map"] else []
    return (f"{_local(row['time']):%m-%d %H:%M:%S}", row["name"], *_part(row), figures, *files)


def _part(row: dict[str, Any]) -> list[str]:
    """What a station knows of a part, and what became of its answer."""
    recipe = row["recipe"] if row["revision"] is None else f"{row['recipe']} r{row['revision']}"
    known = (
        ("part", row["part_id"]),
        ("serial", row["serial"]),
        ("lot", row["lot"]),
        ("recipe", row["recipe"] and recipe),
    )
    words = [f"{name} {value}" for name, value in (*known, ("by", row["operator"])) if value]
    marks = [row["delivered"]] if row["delivered"] in ("unread", "late") else []
    return [*words, *marks, *(["simulated"] if row["simulated"] else [])]


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _local(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone()


def _say(line: str) -> None:
    answer.print(line, soft_wrap=True)
