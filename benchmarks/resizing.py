"""The rules of resizing: their times, how far they differ, and what that changes in scores.

    python benchmarks/resizing.py --photographs FOLDER [--run RUN --data CATEGORY] [--json FILE]

Each large image is a mosaic of photographs in their own pixels, none enlarged. Times are the best and the median of
many turns on one thread, the rules in turn. With --run, the run's detector.onnx scores the test images under each rule,
and the threshold is set anew from the held-out ones: as they are, and some enlarged to 2048 x 2448. The enlarged ones
are also compared as a file with the array that a camera gives, and as a file decoded at a quarter of its scale.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgekd.artifact import write_json
from edgekd.data.images import Image, decode_image, list_images, read_image
from edgekd.data.layouts import read_category
from edgekd.data.resizing import resize_image
from edgekd.engines import Engine, open_engine
from edgekd.metrics.auroc import image_auroc
from edgekd.profiling.timing import device_record
from edgekd.recipe import held_out_images, read_recipe
from edgekd.resize_rules import AREA, AREA_2, RESIZE_RULES
from edgekd.verdicts.threshold import threshold_from_good

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
    parser.add_argument("--enlarged", type=int, default=60, help="test images that are enlarged, at most")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    paths = list_images(arguments.photographs)
    rows = [compare(mosaic(paths, *size), arguments.turns) for size in SIZES]
    for row in rows:
        times = ", ".join(f"{rule} {row['ms'][rule]['min']:.2f} ms" for rule in RESIZE_RULES)
        print(f"{row['from']} to {SIDE}: {times}; levels apart: at most {row['most']}, mean {row['mean']:.5f}")
    decoding = compare_decoding(mosaic(paths, *ENLARGED), arguments.turns)
    for row in decoding:
        print(f"JPEG decoded at 1/{row['scale']}: {row['min']:.2f} ms; at most {row['most']}, mean {row['mean']:.3f}")
    figures: dict[str, Any] = {"to": SIDE, "turns": arguments.turns, "sizes": rows, "decoding": decoding}
    if arguments.run:
        figures["scores"] = compare_scores(arguments.run, arguments.data, arguments.enlarged)
        _print_scores(figures["scores"])
    if arguments.json:
        write_json(arguments.json, figures | {"device": device_record(1)})


def mosaic(paths: Sequence[Path], height: int, width: int) -> Image:
    """Photographs side by side, in their own pixels."""
    canvas, top, number = np.empty((height, width, 3), np.uint8), 0, 0
    while top < height:
        left, tallest = 0, height
        while left < width:
            photograph = read_image(paths[number % len(paths)])
            piece = photograph[: height - top, : width - left]
            tallest = min(tallest, len(photograph))
            canvas[top : top + len(piece), left : left + piece.shape[1]] = piece
            left, number = left + piece.shape[1], number + 1
        top += tallest
    return canvas


def compare(image: Image, turns: int) -> dict[str, Any]:
    """Times of the rules in turn, and how far apart their frames are."""
    times: dict[str, list[float]] = {rule: [] for rule in RESIZE_RULES}
    for _ in range(turns):
        for rule in RESIZE_RULES:
            times[rule].append(_milliseconds(lambda rule=rule: resize_image(image, SIDE, SIDE, rule)))
    frames = [resize_image(image, SIDE, SIDE, rule) for rule in RESIZE_RULES]
    return {
        "from": f"{image.shape[0]} x {image.shape[1]}",
        "ms": {rule: {"min": min(own), "median": float(np.median(own))} for rule, own in times.items()},
        **_apart(*frames),
    }


def compare_decoding(image: Image, turns: int) -> list[dict[str, Any]]:
    """A JPEG of the image, decoded whole and at reduced scales, then resized: times, and levels from the whole one."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    whole = resize_image(cv2.imdecode(data, cv2.IMREAD_COLOR), SIDE, SIDE)
    rows = []
    for scale, flag in {1: cv2.IMREAD_COLOR, **REDUCED}.items():
        own = [_milliseconds(lambda flag=flag: cv2.imdecode(data, flag)) for _ in range(turns)]
        frame = resize_image(cv2.imdecode(data, flag), SIDE, SIDE)
        rows.append({"scale": scale, "min": min(own), "median": float(np.median(own)), **_apart(whole, frame)})
    return rows


def compare_scores(run: Path, data: Path, enlarged: int) -> dict[str, Any]:
    """What a run's detector gives for test images under each rule; and for some of them enlarged, and as JPEGs."""
    category, recipe = read_category(data), read_recipe(run)
    good, test = held_out_images(recipe), category.test
    few = test[:: -(-len(test) // enlarged)]
    with open_engine(run / "detector.onnx") as engine:
        small = [_scores(engine, [entry.path for entry in test], _both_rules), _scores(engine, good, _both_rules)]
        halved = [_scores(engine, [entry.path for entry in test], _from_double), _scores(engine, good, _from_double)]
        large = [_scores(engine, [entry.path for entry in few], _from_large), _scores(engine, good, _from_large)]
    return {
        "system": recipe.system,
        "category": category.name,
        "size": recipe.size,
        "test": len(test),
        "held_out": len(good),
        "enlarged": len(few),
        "as_they_are": _verdicts(*small, (AREA, AREA_2), [entry.defective for entry in test]),
        "of_twice_the_side": _verdicts(*halved, (AREA, AREA_2), [entry.defective for entry in test]),
        "enlarged_2048_x_2448": _verdicts(*large, (AREA, AREA_2), [entry.defective for entry in few]),
        "file_beside_camera": _verdicts(*large, ("camera", "file"), [entry.defective for entry in few]),
        "reduced_file_beside_camera": _verdicts(*large, ("camera", "reduced"), [entry.defective for entry in few]),
    }


def _both_rules(image: Image, side: int) -> dict[str, Image]:
    return {rule: resize_image(image, side, side, rule) for rule in RESIZE_RULES}


def _from_double(image: Image, side: int) -> dict[str, Image]:
    """Of images of twice the frame's side, where "area" rounds halves up and is brighter by an eighth of a level."""
    return _both_rules(np.asarray(cv2.resize(image, (2 * side, 2 * side), interpolation=cv2.INTER_AREA)), side)


def _from_large(image: Image, side: int) -> dict[str, Image]:
    """Frames of an image as large as a camera's: under both rules, and of its JPEG decoded in three ways."""
    large = np.asarray(cv2.resize(image, ENLARGED[::-1], interpolation=cv2.INTER_CUBIC))
    data = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    taken = cv2.imdecode(data, cv2.IMREAD_COLOR)  # What a camera hands over whose stream is made of JPEGs.
    file = decode_image(data.tobytes(), "the file")
    images = {"camera": taken, "file": file, "reduced": cv2.imdecode(data, REDUCED[4])}
    return _both_rules(large, side) | {name: resize_image(each, side, side) for name, each in images.items()}


def _scores(
    engine: Engine, paths: Sequence[Path], frames_of: Callable[[Image, int], dict[str, Image]]
) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {}
    for path in paths:
        for name, frame in frames_of(read_image(path), engine.spec.height).items():
            scores.setdefault(name, []).append(float(engine.infer(frame[None]).scores[0]))
    return scores


def _verdicts(
    tested: dict[str, list[float]], good: dict[str, list[float]], pair: tuple[str, str], defective: Sequence[bool]
) -> dict[str, Any]:
    """Two ways side by side: scores, AUROC, thresholds from held-out images, and verdicts."""
    old, new = (np.asarray(tested[way]) for way in pair)
    old_limit, new_limit = (threshold_from_good(good[way], FALSE_REJECTS) for way in pair)
    return {
        "auroc": [image_auroc(list(old), defective), image_auroc(list(new), defective)],
        "largest_relative_change": float((np.abs(new - old) / old).max()),
        "mean_relative_change": float((np.abs(new - old) / old).mean()),
        "thresholds": [old_limit.value, new_limit.value],
        "flips_at_own_thresholds": int(((old > old_limit.value) != (new > new_limit.value)).sum()),
        "flips_at_the_first_threshold": int(((old > old_limit.value) != (new > old_limit.value)).sum()),
    }


def _apart(one: Image, other: Image) -> dict[str, float]:
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
