"""What a station's page costs: cycle times with three clients that follow everything, and with none, in turn.

    python benchmarks/station_page.py DETECTOR --images FOLDER [--browser] [--blocks 10] [--block 200] [--json F]

A whole station (`edgekd station`) with its page runs in a process of its own; its camera plays images, and a simulated
PLC triggers it. In every other block of cycles three clients follow each event and fetch each image; with --browser
Chromium shows the operator's page instead. Times are those of the PLC, from the write of the trigger until the result
is read. The limit is on the ratio of the medians of a block with clients and the one without before it; the median of
these ratios counts. Exits with code 1 where it is above the limit (a browser has none, since it computes on the same
cores), an answer was late, or a client missed something.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from station_cycle import free_port, percentiles, wait_for

from edgekd.artifact import write_json
from edgekd.data.images import list_images
from edgekd.profiling.timing import device_record
from edgekd.station.error_codes import ErrorCode
from edgekd.station.live_folder import RUNTIME
from edgekd.station.page.watching import LINGERS_S
from edgekd.station.parts import Part
from edgekd.station.recipe_making import make_recipe
from edgekd.station.recipe_release import release
from edgekd.station.simulated_plc import SimulatedPlc

CLIENTS = 3
WARM_UP = 50
MEMORY = Path("/dev/shm")
LIMIT = 1.05
HERE = Path(__file__).parent
JOB, STATION, CAMERA = 1, "measured", "camera"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="images of the detector's product")
    parser.add_argument("--browser", action="store_true", help="Chromium instead of three clients")
    parser.add_argument("--blocks", type=int, default=10, help="pairs of a block without clients and one with them")
    parser.add_argument("--block", type=int, default=200, help="cycles of a block")
    parser.add_argument("--pause-ms", type=float, default=0, help="between two parts")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--poll-ms", type=float, default=2.0, help="of the PLC")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="edgekd-page-") as temporary,
        tempfile.TemporaryDirectory(prefix="edgekd-page-", dir=MEMORY if MEMORY.is_dir() else None) as live,
    ):
        folder, in_memory = Path(temporary), {RUNTIME: live}  # As systemd runs it.
        port, page = free_port(), free_port()
        _write_station(arguments, folder, port, page)
        words = [sys.executable, "-m", "edgekd", "station", str(folder / "station.toml")]
        with subprocess.Popen(words, env=os.environ | in_memory) as station:
            try:
                wait_for(station, port)
                wait_for(station, page)
                measured = asyncio.run(_in_turn(arguments, port, page))
            finally:
                station.send_signal(signal.SIGTERM)
    _report(arguments, *measured)


def _write_station(arguments: argparse.Namespace, folder: Path, port: int, page: int) -> None:
    import tomlkit

    recipe = make_recipe(
        arguments.detector, recipes=folder / "recipes", id="page", job=JOB, cameras=(CAMERA,), good=arguments.images,
    )  # fmt: skip
    if arguments.threads is not None:
        document = tomlkit.parse((recipe / "recipe.toml").read_text())
        document["detector"]["threads"] = arguments.threads
        (recipe / "recipe.toml").write_text(tomlkit.dumps(document))
    release(recipe, "benchmark", "to measure")
    (folder / "images").mkdir()
    for number, path in enumerate(list_images(arguments.images)):
        (folder / "images" / f"{number:05}{path.suffix}").symlink_to(path.absolute())
    content: dict[str, Any] = {
        "data": "data",
        "recipes": "recipes",
        "cameras": {CAMERA: {"kind": "video", "source": "images"}},
        "stations": [{"name": STATION, "cameras": [CAMERA], "trigger": "modbus", "job": JOB}],
        "modbus": {"port": port},
        "page": {"port": page},
    }
    (folder / "station.toml").write_text(tomlkit.dumps(content))


async def _in_turn(
    arguments: argparse.Namespace, port: int, page: int
) -> tuple[list[list[float]], list[list[float]], Counter[str]]:
    """Milliseconds of each block without and with clients, and what the clients got."""
    without: list[list[float]] = []
    beside: list[list[float]] = []
    got: Counter[str] = Counter()
    async with SimulatedPlc("127.0.0.1", port, poll_s=arguments.poll_ms / 1000, step_s=120) as plc:
        await plc.start()
        numbers = iter(range(1, 1 << 31))
        await _block(plc, numbers, WARM_UP, 0)
        for done in range(arguments.blocks):
            without.append(await _block(plc, numbers, arguments.block, arguments.pause_ms))
            with _clients(arguments.browser, page, got):
                await _block(plc, numbers, WARM_UP, arguments.pause_ms)
                beside.append(await _block(plc, numbers, arguments.block, arguments.pause_ms))
                await asyncio.sleep(2)  # For the last images.
            await asyncio.sleep(LINGERS_S + 1)
            print(f"\r{done + 1}/{arguments.blocks}", end="", flush=True)
        print()
        got.update(plc.violations)
    return without, beside, got


async def _block(plc: SimulatedPlc, numbers: Iterator[int], count: int, pause_ms: float) -> list[float]:
    times = []
    for _ in range(count):
        result = await plc.inspect(Part(next(numbers)))
        plc.violations["late answers"] += result.error == ErrorCode.ANSWER_LATE
        times.append(result.waited_ms)
        await asyncio.sleep(pause_ms / 1000)
    return times


@contextlib.contextmanager
def _clients(browser: bool, page: int, got: Counter[str]) -> Iterator[None]:
    words = [sys.executable, str(HERE / "page_browser.py"), str(page)]
    if not browser:
        words = [sys.executable, str(HERE / "page_clients.py"), str(page), str(CLIENTS)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdout is not None
        clients.stdout.readline()
        yield
        output, _ = clients.communicate()
        if clients.returncode:
            sys.exit("the clients did not follow to the end")
        got.update(json.loads(output))


def _report(
    arguments: argparse.Namespace, without: list[list[float]], beside: list[list[float]], got: Counter[str]
) -> None:
    ratios = [statistics.median(b) / statistics.median(w) for w, b in zip(without, beside, strict=True)]
    ratio = statistics.median(ratios)
    none, three = (percentiles([each for block in blocks for each in block]) for blocks in (without, beside))
    print(f"{arguments.blocks} pairs of blocks of {arguments.block} cycles, milliseconds from trigger to result")
    print("no client     ", none)
    beside_what = "a browser" if arguments.browser else "three clients"
    print(f"{beside_what:14}", three)
    print(f"ratio of the medians {ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print("what the clients got:", dict(got))
    missed = got["gaps"] + got["images that were not there"] + got["late answers"]
    if arguments.json is not None:
        content = {
            "blocks": arguments.blocks,
            "block": arguments.block,
            "pause_ms": arguments.pause_ms,
            "no_client_ms": none,
            f"{beside_what.replace(' ', '_')}_ms": three,
            "ratios": [round(each, 4) for each in ratios],
            "clients": dict(got),
            "device": device_record(arguments.threads or 0),
        }
        write_json(arguments.json, content)
    too_slow = ratio > LIMIT and not arguments.browser
    sys.exit(1 if too_slow or missed else 0)


if __name__ == "__main__":
    main()
