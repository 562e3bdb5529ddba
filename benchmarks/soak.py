"""Whether memory stays flat: image files to verdicts, again and again.

    python benchmarks/soak.py ENGINE --images FOLDER [--minutes 10] [--json FILE]

Prints the resident memory of the process every half minute, and its growth from the second on.
"""

from __future__ import annotations

import argparse
import time
from itertools import cycle
from pathlib import Path

from edgekd.artifact import read_manifest, write_json
from edgekd.data.images import list_images
from edgekd.engines import open_engine
from edgekd.profiling.timing import device_record
from edgekd.result import Verdict
from edgekd.runner import inspect_stream
from edgekd.runner.sources import image_frames
from edgekd.verdicts.limits import Limits

EVERY_SECONDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    start = time.monotonic()
    rows: list[dict[str, float]] = []
    frames = errors = 0
    with open_engine(arguments.engine) as engine:
        images = image_frames(cycle(list_images(arguments.images)))
        for answer in inspect_stream(engine, images, Limits(0.0), maps_above=0.0, keep_images=True):
            frames += 1
            errors += answer.result.verdict is Verdict.ERROR
            elapsed = time.monotonic() - start
            if elapsed >= EVERY_SECONDS * (len(rows) + 1):
                rows.append({"seconds": elapsed, "frames": frames, "resident_mib": resident_mib()})
                print(f"{elapsed:6.0f} s  {frames:7d} frames  {rows[-1]['resident_mib']:8.1f} MiB", flush=True)
            if elapsed >= 60 * arguments.minutes:
                break
        spec = engine.spec
    growth = rows[-1]["resident_mib"] - rows[1]["resident_mib"]
    print(f"{frames} frames, {errors} errors; memory grew by {growth:.1f} MiB after the first minute")
    if arguments.json:
        manifest = read_manifest(arguments.engine)
        figures = {"system": manifest["system"], "precision": manifest["precision"], "backend": spec.backend}
        figures |= {"frames": frames, "errors": errors, "grew_mib": growth, "rows": rows}
        write_json(arguments.json, figures | {"device": device_record(spec.threads or 0)})


def resident_mib() -> float:
    """What the process holds of the machine's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
