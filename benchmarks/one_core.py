"""Processor time of one image on one core, from the decoded image to the verdict, for several exported runs.

    taskset -c 0 python benchmarks/one_core.py RUN... --images FOLDER [--json FILE]

Processor time rather than elapsed time: it does not change where other programs share the core.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import cycle, islice
from pathlib import Path

from edgekd.artifact import write_json
from edgekd.data.images import list_images, read_image
from edgekd.engines import open_engine
from edgekd.profiling.timing import device_record
from edgekd.run_folder import DETECTOR_FILE
from edgekd.runner.pipeline import inspect_image
from edgekd.verdicts.limits import Limits

WARM_UP, TIMED = 3, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    images = [read_image(path) for path in list_images(arguments.images)[:TIMED]]
    figures = {}
    for run in arguments.runs:
        times = _processor_times(run / DETECTOR_FILE, images)
        figures[run.name] = {"median": statistics.median(times), "min": min(times), "max": max(times)}
        print(f"{run.name}: {figures[run.name]['median']:.1f} ms")
    if arguments.json:
        write_json(arguments.json, {"device": device_record(1), "processor_ms": figures})


def _processor_times(artifact: Path, images: list) -> list[float]:
    times = []
    with open_engine(artifact, "openvino", threads=1) as engine:
        for image in islice(cycle(images), WARM_UP + TIMED):
            start = time.process_time()
            inspect_image(engine, image, Limits(1.0))
            times.append((time.process_time() - start) * 1000)
    return times[WARM_UP:]


if __name__ == "__main__":
    main()
