"""A whole station to look at: the detector of a run, its images in place of a camera, and a PLC that is simulated."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import shutil
import socket
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.recipe import held_out_images, read_recipe
from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.configuration_file import read_configuration
from edgekd.station.parts import Part
from edgekd.station.recipe_release import release
from edgekd.station.record.reading import RecordReader
from edgekd.station.service import run_service
from edgekd.station.simulated_plc import PlcResult, SimulatedPlc
from edgekd.station.tasks import end

logger = logging.getLogger(__name__)

STATION, CAMERA, RECIPE, JOB = "simulated", "camera", "demo", 1
DEADLINE_MS = 2000.0  # It is to be looked at on any machine, however slow.
SEED = 0
CONFIGURATION_FILE = "station.toml"
STEP_S = 120.0  # For which the station may take to be ready,
FOREVER_S = 1e9  # where people may take it offline,
EVERY_S = 1.0  # and from one part to the next, so that they can look at it.
LOT = 100  # Parts of a lot.


@dataclass(frozen=True)
class Simulation:
    """What a simulated station runs on.

    Attributes:
        configuration: Its configuration file.
        images: Those that its camera plays, in this order, again and again.
        defective: Of each whether it shows a defect; None where that is not known.
        page: Address of its page; "" for none.
    """

    configuration: Path
    images: tuple[Path, ...]
    defective: tuple[bool | None, ...]
    page: str = ""

    def image_of(self, frame_id: int | None) -> tuple[str, bool | None]:
        """The image that was a camera's frame, by its name, and whether it shows a defect.

        Args:
            frame_id: The camera's number of the frame, from 1.
        """
        if frame_id is None:
            return "", None
        index = (frame_id - 1) % len(self.images)
        return self.images[index].name.partition("_")[2], self.defective[index]


@dataclass(frozen=True)
class SimulatedPart:
    """What became of a part.

    Attributes:
        part_id: As the PLC counts.
        verdict: That the PLC got.
        score: Of the image; NaN where there is none.
        severity: 0 for a typical good image, 1 at the threshold.
        error: Why it is ERROR, in one line.
        milliseconds: From trigger to result, as the PLC saw it.
        image: Its name; "" where none was taken.
        defective: Whether it shows a defect; None where that is not known.
    """

    part_id: int
    verdict: str
    score: float
    severity: float
    error: str
    milliseconds: float
    image: str
    defective: bool | None


@dataclass(frozen=True)
class SimulationResult:
    """What a simulated station did.

    Attributes:
        parts: That were triggered.
        verdicts: Of them, by verdict.
        defective, found: Parts with a defect, and how many of them were NG.
        good, rejected: Parts without, and how many of them were NG.
        median_ms: From trigger to result, as the PLC saw it; None without a part.
        violations: What the station did against the handshake, with how often.
    """

    parts: int
    verdicts: dict[str, int]
    defective: int
    found: int
    good: int
    rejected: int
    median_ms: float | None
    violations: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The content of `station --simulate --json`."""
        return asdict(self)


async def simulate(
    simulation: Simulation,
    parts: int | None,
    on_part: Callable[[SimulatedPart], None],
    every_s: float = 0.0,
    patience_s: float = STEP_S,
) -> SimulationResult:
    """Runs the station, and a PLC that lets parts come one after another.

    Args:
        simulation: As `prepare_simulation` made it.
        parts: After so many it ends; 0 for none such, None for one round of the images.
        on_part: Called with each part.
        every_s: Seconds from one part to the next at least, for people who look at them.
        patience_s: For which the station may take no part, as when somebody took it offline.

    Returns:
        What was done; of a station that was asked to end, until then.

    Raises:
        EdgekdError, MachineError: The station does not start, or does not answer.
    """
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # Until the station listens, connecting fails.
    seen: list[SimulatedPart] = []
    violations: Counter[str] = Counter()

    def take(part: SimulatedPart) -> None:
        seen.append(part)
        on_part(part)

    service = asyncio.create_task(run_service(read_configuration(simulation.configuration), simulator=True))
    count = len(simulation.images) if parts is None else parts
    line = asyncio.create_task(_line(simulation, count, every_s, patience_s, take, violations))
    try:
        await asyncio.wait({service, line}, return_when=asyncio.FIRST_COMPLETED)
        if line.done():
            line.result()
        if service.done():
            service.result()
    finally:
        await end(line)
        service.cancel()
        await asyncio.wait({service})
    return _summary(seen, violations)


async def _line(
    simulation: Simulation,
    parts: int,
    every_s: float,
    patience_s: float,
    take: Callable[[SimulatedPart], None],
    violations: Counter[str],
) -> None:
    configuration = read_configuration(simulation.configuration)
    assert configuration.modbus is not None
    async with SimulatedPlc(configuration.modbus.host, configuration.modbus.port, step_s=patience_s) as plc:
        plc.violations = violations
        await plc.start()
        with RecordReader(configuration.data / VERDICTS_FILE) as record:
            for part_id in range(1, parts + 1) if parts else itertools.count(1):
                pause = asyncio.create_task(asyncio.sleep(every_s))
                result = await plc.inspect(Part(part_id, lot=f"LOT-{1 + (part_id - 1) // LOT}"))
                if result.result_id:
                    take(await asyncio.to_thread(_part, simulation, result, record))
                await pause


def _part(simulation: Simulation, result: PlcResult, record: RecordReader) -> SimulatedPart:
    """A part as the PLC got it, with what is on record of it."""
    recorded = record.result(result.result_id)
    assert recorded is not None  # Its row is there before the PLC can read it.
    outcome = recorded.outcome
    frame_id = None if outcome.inspected is None else outcome.inspected.frame_id
    image, defective = simulation.image_of(frame_id)
    return SimulatedPart(
        part_id=result.part.part_id,
        verdict=outcome.verdict.value,
        score=result.score,
        severity=result.severity,
        error=outcome.error_text,
        milliseconds=result.waited_ms,
        image=image,
        defective=defective,
    )


def _summary(parts: Sequence[SimulatedPart], violations: Counter[str]) -> SimulationResult:
    verdicts = Counter(part.verdict for part in parts)
    ng = [part for part in parts if part.verdict == Verdict.NG.value]
    return SimulationResult(
        parts=len(parts),
        verdicts={verdict.value: verdicts[verdict.value] for verdict in Verdict},
        defective=sum(part.defective is True for part in parts),
        found=sum(part.defective is True for part in ng),
        good=sum(part.defective is False for part in parts),
        rejected=sum(part.defective is False for part in ng),
        median_ms=statistics.median(part.milliseconds for part in parts) if parts else None,
        violations=dict(violations),
    )


def prepare_simulation(run: Path, out: Path, page: int | None = None) -> Simulation:
    """Makes what a simulated station needs: a recipe, images and a configuration.

    Args:
        run: A run that was exported, and whose images are still there.
        out: Folder for all of it; one that was prepared before is used again, with its record.
        page: Port of its page on this machine, 0 for any that is free; None for no page.

    Returns:
        What was prepared.

    Raises:
        EdgekdError: It is no such run, its images are gone, or the folder holds something else.
    """
    if not run.is_dir():
        raise EdgekdError(f"there is no run {run}: make one with 'edgekd demo', or name yours with --run")
    out.mkdir(parents=True, exist_ok=True)
    known = _images_of(run)
    if not known:
        raise EdgekdError(f"the images of {run} are not here any more: name another run")
    if not (out / CONFIGURATION_FILE).exists():
        if any(out.iterdir()):
            raise EdgekdError(f"{out} holds something else: name another folder for the simulated station")
        _fill(run, out, [path for path, _ in known])
    if page is not None:
        page = page or _free_port()
    _write_configuration(out, page)
    images = tuple(sorted((out / "images").iterdir()))
    address = "" if page is None else f"http://127.0.0.1:{page}/"
    return Simulation(out / CONFIGURATION_FILE, images, tuple(defective for _, defective in known), address)


def _images_of(run: Path) -> list[tuple[Path, bool | None]]:
    """Images to inspect, mixed, and whether each shows a defect: the test set, else the good ones held out."""
    from edgekd.data.layouts import read_category, recognise_layout

    recipe = read_recipe(run)
    data = Path(recipe.data)
    images: list[tuple[Path, bool | None]] = [(path, None) for path in held_out_images(recipe)]
    if data.is_dir() and recognise_layout(data) is not None:
        images = [(image.path, image.defective) for image in read_category(data).test] or images
    random.Random(SEED).shuffle(images)
    return images


def _fill(run: Path, out: Path, images: Sequence[Path]) -> None:
    from edgekd.station.recipe_making import make_recipe

    logger.info("making a recipe from %s, with references for the station's self-test", run)
    folder = make_recipe(run, out / "recipes", RECIPE, JOB, cameras=(CAMERA,), deadline_ms=DEADLINE_MS)
    release(folder, "simulation", "to look at")
    (out / "images").mkdir()
    for number, path in enumerate(images, start=1):
        target = out / "images" / f"{number:05}_{path.name}"
        try:
            os.link(path, target)
        except OSError:  # On another disk.
            shutil.copyfile(path, target)


def _write_configuration(out: Path, page: int | None) -> None:
    import tomlkit

    content: dict[str, Any] = {
        "data": "data",
        "recipes": "recipes",
        "cameras": {CAMERA: {"kind": "video", "source": "images"}},
        "stations": [{"name": STATION, "cameras": [CAMERA], "trigger": "modbus", "job": JOB, "start_online": True}],
        "modbus": {"host": "127.0.0.1", "port": _free_port()},
    }
    if page is not None:
        content["page"] = {"port": page}
    (out / CONFIGURATION_FILE).write_text(tomlkit.dumps(content), encoding="utf-8")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
