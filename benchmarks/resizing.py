"""The rules of resizing: their times, how far they differ, and what that changes in scores.

    python benchmarks/resizing.py --photographs FOLDER [--run RUN --data CATEGORY] [--json FILE]

Each large image is a mosaic of photographs in their own pixels, none enlarged. Times are the best and the median of
many turns on one thread, the rules in turn. With --run, the run's detector.onnx scores the test images under each rule,
and the threshold is set anew from the held-out ones; as they are, and enlarged to 2048 x 2448. The same is asked of a
JPEG that is decoded at a quarter of its scale, beside the same file decoded whole, which is what a camera would give.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgekd.artifact import write_json
from edgekd.data.layouts import read_category
from edgekd.data.pictures import Picture, list_pictures, read_picture
from edgekd.data.resizing import resize_picture
from edgekd.engines import Engine, open_engine
from edgekd.metrics.auroc import image_auroc
from edgekd.metrics.threshold import threshold_from_good
from edgekd.profiling.timing import device_record
from edgekd.recipe import read_recipe
from edgekd.resize_rules import AREA, AREA_2, RESIZE_RULES
from edgekd.training.run import held_out_pictures

SIZES = ((2048, 2448), (2448, 2048), (1024, 1280), (4096, 3000), (2047, 2447), (1200, 1600), (512, 512))
SIDE = 256
ENLARGED = (2048, 2448)  # That test images are brought to, as a large camera would give them.
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
FALSE_REJECTS = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="that was exported: its detector.onnx is asked")
    parser.add_argument("--data", type=Path, help="a category with test images, for --run")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    paths = list_pictures(arguments.photographs)
    rows = [compare(mosaic(paths, *size), arguments.turns) for size in SIZES]
    for row in rows:
        times = ", ".join(f"{rule} {row['ms'][rule]['min']:.2f} ms" for rule in RESIZE_RULES)
        print(f"{row['from']} to {SIDE}: {times}; levels apart: at most {row['most']}, mean {row['mean']:.5f}")
    decoding = compare_decoding(mosaic(paths, *ENLARGED), arguments.turns)
    for row in decoding:
        print(f"JPEG decoded at 1/{row['scale']}: {row['min']:.2f} ms; at most {row['most']}, mean {row['mean']:.3f}")
    figures: dict[str, Any] = {"to": SIDE, "turns": arguments.turns, "sizes": rows, "decoding": decoding}
    if arguments.run:
        figures["scores"] = compare_scores(arguments.run, arguments.data)
        _print_scores(figures["scores"])
    if arguments.json:
        write_json(arguments.json, figures | {"device": device_record(1)})


def mosaic(paths: Sequence[Path], height: int, width: int) -> Picture:
    """Photographs side by side, in their own pixels."""
    canvas, top, number = np.empty((height, width, 3), np.uint8), 0, 0
    while top < height:
        left, tallest = 0, height
        while left < width:
            photograph = read_picture(paths[number % len(paths)])
            piece = photograph[: height - top, : width - left]
            tallest = min(tallest, len(photograph))
            canvas[top : top + len(piece), left : left + piece.shape[1]] = piece
            left, number = left + piece.shape[1], number + 1
        top += tallest
    return canvas


def compare(image: Picture, turns: int) -> dict[str, Any]:
    """Times of the rules in turn, and how far apart their frames are."""
    times: dict[str, list[float]] = {rule: [] for rule in RESIZE_RULES}
    for _ in range(turns):
        for rule in RESIZE_RULES:
            times[rule].append(_milliseconds(lambda rule=rule: resize_picture(image, SIDE, SIDE, rule)))
    frames = [resize_picture(image, SIDE, SIDE, rule) for rule in RESIZE_RULES]
    return {
        "from": f"{image.shape[0]} x {image.shape[1]}",
        "ms": {rule: {"min": min(own), "median": float(np.median(own))} for rule, own in times.items()},
        **_apart(*frames),
    }


def compare_decoding(image: Picture, turns: int) -> list[dict[str, Any]]:
    """A JPEG of the image, decoded whole and at reduced scales, then resized: times, and levels from the whole one."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    whole = resize_picture(cv2.imdecode(data, cv2.IMREAD_COLOR), SIDE, SIDE)
    rows = []
    for scale, flag in {1: cv2.IMREAD_COLOR, **REDUCED}.items():
        own = [_milliseconds(lambda flag=flag: cv2.imdecode(data, flag)) for _ in range(turns)]
        frame = resize_picture(cv2.imdecode(data, flag), SIDE, SIDE)
        rows.append({"scale": scale, "min": min(own), "median": float(np.median(own)), **_apart(whole, frame)})
    return rows


def compare_scores(run: Path, data: Path) -> dict[str, Any]:
    """What a run's detector gives for test images under each rule, small, enlarged, and from a reduced JPEG."""
    category, recipe = read_category(data), read_recipe(run)
    tested, good = [entry.path for entry in category.test], held_out_pictures(recipe)
    defective = [entry.defective for entry in category.test]
    rows: dict[str, Any] = {}
    with open_engine(run / "detector.onnx") as engine:
        for name, prepare in _preparations().items():
            scores = {}
            for rule in RESIZE_RULES:
                scores[rule] = [_scores(engine, paths, prepare, rule) for paths in (good, tested)]
            rows[name] = _verdicts(scores, defective)
        reduced = [_scores(engine, paths, _reduced_jpeg, AREA_2) for paths in (good, tested)]
        as_files = [_scores(engine, paths, _whole_jpeg, AREA_2) for paths in (good, tested)]
    rows["reduced_jpeg_beside_whole"] = _verdicts({AREA: as_files, AREA_2: reduced}, defective)
    return {"system": recipe.system, "category": category.name, "test": len(tested), "held_out": len(good), **rows}


def _preparations() -> dict[str, Callable[[Picture], Picture]]:
    return {"as_they_are": lambda image: image, "enlarged": _enlarge}


def _enlarge(image: Picture) -> Picture:
    return np.asarray(cv2.resize(image, ENLARGED[::-1], interpolation=cv2.INTER_CUBIC))


def _jpeg(image: Picture, flag: int) -> Picture:
    data = cv2.imencode(".jpg", _enlarge(image), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return np.asarray(cv2.imdecode(data, flag))


def _whole_jpeg(image: Picture) -> Picture:
    return _jpeg(image, cv2.IMREAD_COLOR)


def _reduced_jpeg(image: Picture) -> Picture:
    return _jpeg(image, REDUCED[4])


def _scores(engine: Engine, paths: Sequence[Path], prepare: Callable[[Picture], Picture], rule: str) -> list[float]:
    side = engine.spec.height
    frames = (resize_picture(prepare(read_picture(path)), side, side, rule) for path in paths)
    return [float(engine.infer(frame[None]).scores[0]) for frame in frames]


def _verdicts(scores: dict[str, list[list[float]]], defective: Sequence[bool]) -> dict[str, Any]:
    """Two ways side by side: scores, AUROC, thresholds from held-out images, and verdicts."""
    (old_good, old), (new_good, new) = ([np.asarray(part) for part in scores[rule]] for rule in (AREA, AREA_2))
    old_limit, new_limit = (threshold_from_good(list(good), FALSE_REJECTS) for good in (old_good, new_good))
    return {
        "auroc": [image_auroc(list(old), defective), image_auroc(list(new), defective)],
        "largest_relative_change": float((np.abs(new - old) / old).max()),
        "mean_relative_change": float((np.abs(new - old) / old).mean()),
        "thresholds": [asdict(old_limit)["value"], asdict(new_limit)["value"]],
        "flips_at_own_thresholds": int(((old > old_limit.value) != (new > new_limit.value)).sum()),
        "flips_at_the_first_threshold": int(((old > old_limit.value) != (new > old_limit.value)).sum()),
    }


def _apart(one: Picture, other: Picture) -> dict[str, float]:
    levels = np.abs(one.astype(int) - other)
    return {"most": int(levels.max()), "mean": float(levels.mean()), "pixels_apart": float((levels > 0).mean())}


def _milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def _print_scores(figures: dict[str, Any]) -> None:
    print(f"{figures['system']} on {figures['test']} test images of {figures['category']}")
    for name, row in figures.items():
        if isinstance(row, dict):
            before, after = row["auroc"]
            own, same = row["flips_at_own_thresholds"], row["flips_at_the_first_threshold"]
            flips = f"{own} verdicts flip, {same} at the same threshold"
            apart = f"scores at most {row['largest_relative_change']:.2%} apart"
            print(f"{name}: AUROC {before:.6f} and {after:.6f}; {apart}; {flips}")


if __name__ == "__main__":
    main()
