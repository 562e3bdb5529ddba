"""Frames of every kind that a line brings, good, marked, or faulty in a known way, and the verdict each must get."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgekd.data.images import read_image
from edgekd.runner.sources import Frame
from tests.faults.detector import NAN, RAISES, SIDE

SLOW_SECONDS = 0.2
SHARE_FAULTY = 0.3


def image(random: np.random.Generator, marked: bool = False, first: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """A frame of twice the network's side, so that a pixel of the network is the mean of four equal ones."""
    frame = np.repeat(np.repeat(random.integers(20, 80, (SIDE, SIDE, 3), np.uint8), 2, axis=0), 2, axis=1)
    if marked:
        y, x = 16 * random.integers(0, 4, 2)
        frame[y : y + 16, x : x + 16] = 220
    frame[:2, :2] = first
    return frame


def _encoded(suffix: str, pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def _without_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + data[middle + 20 :]


def _closed_half(data: bytes) -> bytes:
    """Half of a JPEG, with its end mark: without one it is cut off, and what lacks a few bytes need not be noticed."""
    return data[: len(data) // 2] + b"\xff\xd9"


# Files: what is in them, and the verdict. Suffixes are not always what is in a file.
FILES: dict[str, tuple[str, Callable[[np.random.Generator], bytes], str]] = {
    "good": (".png", lambda random: _encoded(".png", image(random)), "OK"),
    "good_bmp": (".bmp", lambda random: _encoded(".bmp", image(random)), "OK"),
    "good_padded": (".png", lambda random: _encoded(".png", image(random)) + b"\0" * 5000, "OK"),
    "marked": (".png", lambda random: _encoded(".png", image(random, marked=True)), "NG"),
    "cut_png": (".png", lambda random: _encoded(".png", image(random))[:-300], "ERROR"),
    "cut_jpeg": (".jpg", lambda random: _encoded(".jpg", image(random))[:-300], "ERROR"),
    "damaged_png": (".png", lambda random: _without_middle(_encoded(".png", image(random))), "ERROR"),
    "damaged_jpeg": (".jpg", lambda random: _closed_half(_encoded(".jpg", image(random))), "ERROR"),
    "cut_bmp": (".bmp", lambda random: _encoded(".bmp", image(random))[:-300], "ERROR"),
    "empty": (".png", lambda random: b"", "ERROR"),
    "no_image": (".png", lambda random: b"not an image" * 100, "ERROR"),
    "another_size": (".png", lambda random: _encoded(".png", image(random)[:50]), "ERROR"),
    "12_bits": (".png", lambda random: _encoded(".png", image(random)[:, :, 0].astype(np.uint16) * 10), "ERROR"),
    "engine_raises": (".png", lambda random: _encoded(".png", image(random, first=RAISES)), "ERROR"),
    "engine_nan": (".png", lambda random: _encoded(".png", image(random, first=NAN)), "ERROR"),
}


def _slow(load: Callable[[], Any]) -> Any:
    time.sleep(SLOW_SECONDS)
    return load()


def _raise(error: Exception) -> Any:
    raise error


# Frames from a program's own source: what `load` does, and the verdict.
LOADS: dict[str, tuple[Callable[[np.random.Generator], Callable[[], Any]], str]] = {
    "slow": (lambda random: _later(_slow, _later(np.copy, image(random))), "OK"),
    "mono": (lambda random: _later(lambda: np.full((2 * SIDE, 2 * SIDE), 50, np.uint8)), "OK"),
    "device_gone": (lambda random: _later(_raise, OSError(19, "No such device")), "ERROR"),
    "no_memory": (lambda random: _later(_raise, MemoryError()), "ERROR"),
    "nothing": (lambda random: _later(lambda: None), "ERROR"),
    "wrong_type": (lambda random: _later(lambda: np.zeros((2 * SIDE, 2 * SIDE, 3), np.int32)), "ERROR"),
    "wrong_range": (lambda random: _later(lambda: np.full((2 * SIDE, 2 * SIDE, 3), 300.0)), "ERROR"),
    "two_channels": (lambda random: _later(lambda: np.zeros((2 * SIDE, 2 * SIDE, 2), np.uint8)), "ERROR"),
}


def _later(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def _draw(random: np.random.Generator, names: list[str], verdict_of: Callable[[str], str]) -> str:
    faulty = [name for name in names if verdict_of(name) == "ERROR"]
    others = [name for name in names if verdict_of(name) != "ERROR"]
    return str(random.choice(faulty if random.random() < SHARE_FAULTY else others))


def write_frames(folder: Path, count: int, random: np.random.Generator) -> dict[str, str]:
    """Writes files of random kinds.

    Returns:
        The verdicts that they must get, by their names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    verdicts = {}
    for number in range(count):
        kind = _draw(random, list(FILES), lambda name: FILES[name][2])
        suffix, content, verdict = FILES[kind]
        name = f"{number:05}_{kind}{suffix}"
        (folder / name).write_bytes(content(random))
        verdicts[name] = verdict
    return verdicts


def write_video(path: Path, count: int, random: np.random.Generator) -> dict[str, str]:
    """Writes a video of good and marked frames; see `write_frames`."""
    side = 2 * SIDE
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (side, side))
    verdicts = {}
    for number in range(count):
        marked = bool(random.random() < 0.3)
        writer.write(image(random, marked))
        verdicts[f"{path.name}#{number:06d}"] = "NG" if marked else "OK"
    writer.release()
    return verdicts


def random_frame(name: str, folder: Path, random: np.random.Generator) -> tuple[Frame, str]:
    """A frame of a random kind, of a file or of a program's own source, and the verdict that it must get."""
    kinds = [*FILES, *LOADS, "missing"]
    verdicts = {
        kind: FILES[kind][2] if kind in FILES else LOADS[kind][1] if kind in LOADS else "ERROR" for kind in kinds
    }
    kind = _draw(random, kinds, verdicts.__getitem__)
    if kind in LOADS:
        return Frame(f"{name}_{kind}", LOADS[kind][0](random)), verdicts[kind]
    path = folder / f"{name}_{kind}{FILES[kind][0] if kind in FILES else '.png'}"
    if kind in FILES:
        path.write_bytes(FILES[kind][1](random))

    def load() -> Any:
        try:
            return read_image(path)
        finally:
            path.unlink(missing_ok=True)

    return Frame(path.name, load), verdicts[kind]
