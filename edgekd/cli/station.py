"""The command `edgekd station`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.options import DATA, OUTPUT, JsonFile
from edgekd.cli.types import port, positive
from edgekd.errors import EdgekdError

if TYPE_CHECKING:
    from edgekd.station.check import Finding
    from edgekd.station.simulation import SimulatedPart, SimulationResult

COLOURS = {"OK": "green", "NG": "red", "ERROR": "yellow"}
DEMO_RUN = Path("demo/run")

app = typer.Typer(add_completion=False)


@app.command()
def station(
    configuration: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG.toml", help="Configuration of the station.", show_default=False),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Open cameras, load the released recipes and run their self-tests, print what was found, and exit: "
            "with code 1 if something is wrong. The station must not be running.",
        ),
    ] = False,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="Run a whole station on the images of a run, with a PLC that is simulated too."
        ),
    ] = False,
    run: Annotated[
        Path,
        typer.Option(
            metavar="RUN",
            help="With --simulate: a run that was exported. Default: demo/run, which 'edgekd demo' makes.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = DEMO_RUN,
    parts: Annotated[
        int | None,
        typer.Option(
            parser=positive,
            metavar="N",
            help="With --simulate: end after this many parts. Default: one round of the images; none with --page.",
            rich_help_panel=DATA,
        ),
    ] = None,
    page: Annotated[
        int | None,
        typer.Option(
            parser=port,
            metavar="PORT",
            help="With --simulate: serve its page at this port of this machine, 0 for any free port, and inspect a "
            "part each second. Default: no page.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --simulate: keep recipe, configuration, record and images there. Default: a temporary folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Run a station beside the line: it waits for triggers, takes images, answers the PLC and keeps the record.

    Ctrl-C or SIGTERM ends it after the part in work. --json is for --check and --simulate.
    """
    if simulate == (configuration is not None) or (simulate and check):
        raise EdgekdError("name a configuration, such as 'edgekd station station.toml', or give --simulate, not both")
    if not simulate and (out is not None or parts is not None or page is not None or run != DEMO_RUN):
        raise EdgekdError("--run, --parts, --page and --out belong to --simulate")
    if json is not None and not (check or simulate):
        raise EdgekdError("--json belongs to --check and --simulate")
    if simulate:
        _simulate(run, parts, page, out, json)
    elif configuration is not None and check:
        _check(configuration, json)
    elif configuration is not None:
        _run(configuration)


def _run(path: Path) -> None:
    import asyncio
    import logging

    from edgekd.station.configuration_file import read_configuration, warnings_of
    from edgekd.station.service import run_service

    configuration = read_configuration(path)
    for warning in warnings_of(configuration):
        logging.getLogger("edgekd.station").warning("%s", warning)
    asyncio.run(run_service(configuration))


def _check(path: Path, json: Path | None) -> None:
    import asyncio
    from dataclasses import asdict

    from edgekd.cli.output import print_table, require_writable, write_json_to
    from edgekd.station.check import check
    from edgekd.station.configuration_file import read_configuration

    require_writable(json)
    found: list[Finding] = []

    async def gather() -> None:
        async for finding in check(read_configuration(path)):
            found.append(finding)

    asyncio.run(gather())
    wrong = [finding for finding in found if not finding.ok]
    write_json_to(json, {"ok": not wrong, "findings": [asdict(finding) for finding in found]})
    if json != Path("-"):
        rows = [("ok" if each.ok else "WRONG", each.what, each.name, each.text) for each in found]
        print_table(f"{path}: {len(wrong)} wrong", ("", "what", "name", "found"), rows, text_columns=4)
    if wrong:
        raise typer.Exit(1)


def _simulate(run: Path, parts: int | None, page: int | None, out: Path | None, json: Path | None) -> None:
    import asyncio
    import logging
    import shlex
    import tempfile

    from edgekd.cli.output import answer, require_writable, write_json_to
    from edgekd.station.simulation import EVERY_S, FOREVER_S, prepare_simulation, simulate

    require_writable(json)
    logger = logging.getLogger("edgekd.station")
    with tempfile.TemporaryDirectory(prefix="edgekd-station-") as temporary:
        folder = out or Path(temporary) / "station"
        simulation = prepare_simulation(run, folder, page)
        logger.info("simulated: the station of %s, its camera plays %d images", folder, len(simulation.images))
        quiet = json == Path("-")
        on_part = (lambda part: None) if quiet else _print_part
        if page is None:
            summary = asyncio.run(simulate(simulation, parts, on_part))
        else:
            data = shlex.quote(str(folder / "data"))
            logger.info("its page: %s; log in as a user that 'edgekd users add' adds to %s", simulation.page, data)
            summary = asyncio.run(simulate(simulation, parts or 0, on_part, EVERY_S, FOREVER_S))
        write_json_to(json, summary.to_dict())
        if not quiet:
            answer.print(_told(summary), soft_wrap=True)
        if out is not None:
            again = shlex.join(["edgekd", "station", "--simulate", "--run", str(run), "--out", str(out)])
            logger.info(
                "look at it with '%s'; go on with '%s'", shlex.join(["edgekd", "log", str(out / "data")]), again
            )


def _told(summary: SimulationResult) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in summary.verdicts.items())
    lines = [f"{summary.parts} parts: {counts}"]
    if summary.defective or summary.good:
        lines.append(f"{summary.found} of {summary.defective} defective parts found")
        lines.append(f"{summary.rejected} of {summary.good} good parts rejected")
    if summary.median_ms is not None:
        lines.append(f"median {summary.median_ms:.0f} ms from the PLC's trigger to its result")
    if summary.violations:
        lines.append(f"against the handshake: {summary.violations}")
    return "; ".join(lines)


def _print_part(part: SimulatedPart) -> None:
    from rich.text import Text

    from edgekd.cli.output import answer
    from edgekd.verdicts.text import printable

    verdict = (f"{part.verdict:5}", COLOURS[part.verdict])
    truth = {True: " (defective)", False: " (good)", None: ""}[part.defective]
    shown = f"  {printable(part.image)}{truth}" if part.image else ""
    figures = part.error or f"{part.score:.4g}  severity {part.severity:.2f}"
    answer.print(
        Text.assemble(f"part {part.part_id:4}  ", verdict, f" {figures}  {part.milliseconds:.0f} ms{shown}"),
        soft_wrap=True,
    )
