"""Runs a detector on a folder, a video or a camera: verdicts, a Parquet log, heat maps."""

from __future__ import annotations

import argparse
import contextlib
from collections import Counter
from pathlib import Path

from rich.text import Text

from edgekd.artifact import Manifest, read_manifest
from edgekd.cli.arguments import add_engine_arguments, add_json_argument, add_readers_argument, between, open_from
from edgekd.cli.output import answer, notes, write_json_to
from edgekd.engines import EVERY_MAP, NO_MAP
from edgekd.errors import EdgekdError
from edgekd.result import Verdict
from edgekd.runner import Answer, inspect_stream, open_source, watchdog
from edgekd.runner.sinks import ParquetLog, RotatingLog, parquet_log, write_heat_map

COLOURS = {Verdict.OK: "green", Verdict.NG: "red", Verdict.ERROR: "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_engine_arguments(parser)
    parser.add_argument("--source", required=True, metavar="DIR|VIDEO|CAMERA", help="a path, or a camera's number")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write Parquet tables of verdicts and heat maps here",
    )
    parser.add_argument("--threshold", type=between(0, 1e30), help="instead of the artifact's own")
    parser.add_argument("--heat-maps", choices=("ng", "all"), default="ng", help="whose to write (default: ng)")
    parser.add_argument("--fail-on-ng", action="store_true", help="leave with 1 if any frame is NG or ERROR")
    add_readers_argument(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    manifest = read_manifest(arguments.engine)
    threshold = arguments.threshold if arguments.threshold is not None else _stored_threshold(manifest)
    source = open_source(arguments.source)
    counts: Counter[str] = Counter()
    rows: list[dict[str, object]] = []
    dropped = 0
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(open_from(arguments, arguments.engine))
        log = _log(stack, arguments.out, threshold, source.live) if arguments.out else None
        keep = arguments.out is not None
        maps_above = (EVERY_MAP if arguments.heat_maps == "all" else threshold) if keep else NO_MAP
        stack.callback(watchdog.stopping)
        watchdog.ready()
        stream = inspect_stream(engine, source.frames, threshold, maps_above, keep, source.live, arguments.readers)
        for reply in stream:
            counts[reply.result.verdict.value] += 1
            dropped += reply.dropped
            watchdog.alive()
            if log is not None:
                log.write(reply.name, reply.result)
                _heat_map(arguments.out, reply, threshold, arguments.heat_maps)
            if arguments.json:
                rows.append(_row(reply))
            if arguments.json != Path("-"):
                _print(reply)
    verdicts = {verdict.value: counts[verdict.value] for verdict in Verdict}
    write_json_to(arguments.json, {"threshold": threshold, "verdicts": verdicts, "dropped": dropped, "frames": rows})
    parts = [f"{count} {name}" for name, count in verdicts.items()] + ([f"{dropped} dropped"] if source.live else [])
    notes.print(f"{sum(counts.values())} frames: " + ", ".join(parts))
    return int(arguments.fail_on_ng and counts["OK"] != sum(counts.values()))


def _log(stack: contextlib.ExitStack, out: Path, threshold: float, live: bool) -> ParquetLog | RotatingLog:
    """One table of a source that ends, a table every ten minutes of one that does not."""
    if live:
        return stack.enter_context(RotatingLog(out / "verdicts", threshold))
    return stack.enter_context(parquet_log(out / "verdicts.parquet", threshold))


def _stored_threshold(manifest: Manifest) -> float:
    threshold = manifest.get("threshold")
    if not threshold:
        why = "it is untrained" if not manifest.get("trained") else "too few good images were held out"
        raise EdgekdError(f"{manifest['file']} holds no threshold ({why}): give one with --threshold")
    return float(threshold["value"])


def _heat_map(out: Path, reply: Answer, threshold: float, whose: str) -> None:
    if reply.result.verdict is Verdict.NG or (whose == "all" and reply.result.verdict is Verdict.OK):
        write_heat_map(out / "heat_maps", reply, low=0.5 * threshold, high=2 * threshold)


def _row(reply: Answer) -> dict[str, object]:
    result = reply.result
    score = None if result.error else result.score
    return {"name": reply.name, "score": score, "verdict": result.verdict.value, "error": result.error}


def _print(reply: Answer) -> None:
    result = reply.result
    what = result.error or f"{result.score:.6g}"
    verdict = (f"{result.verdict.value:5}", COLOURS[result.verdict])
    answer.print(Text.assemble(verdict, f" {reply.name}  {what}"), soft_wrap=True)
