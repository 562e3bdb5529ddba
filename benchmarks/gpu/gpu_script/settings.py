"""What a run of the script is asked for; every part reads it from OUT/work/settings.json."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from edgekd.artifact import read_json, write_json

SYSTEM_NAMES = ("hkt", "pfadseg", "mthf", "dskd", "hkt_plus", "mhkd")  # In the order of training.
PRECISIONS = ("fp16", "fp32")
SHARES = {"drivers": 15, "systems": 32, "training": 37, "teachers": 16}  # Of the minutes.
REHEARSAL_SHARES = {"drivers": 7, "systems": 34, "training": 48, "teachers": 11}
SECONDS_TO_END = 12.0  # That a part has for writing, after it should have ended and before it is killed.


@dataclass(frozen=True)
class Settings:
    """What is asked for.

    Attributes:
        out: Where everything is written.
        device: "cuda" or "cpu"; a CPU is for rehearsing, at small sizes.
        iterations: Of every training and timing; None for as many as the time allows.
        size: The side of images, in pixels.
        batches: That the systems are timed at.
    """

    out: Path
    device: str
    iterations: int | None
    size: int
    batches: tuple[int, ...]

    @property
    def work(self) -> Path:
        """The folder of what need not be kept: checkpoints, caches, logs."""
        return self.out / "work"

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    def write(self) -> None:
        write_json(self.work / "settings.json", {**asdict(self), "out": str(self.out)})


def make_settings(out: Path, device: str, iterations: int | None) -> Settings:
    """The settings of a device: the papers' size on a GPU, small ones on a CPU."""
    size, batches = (256, (1, 8, 32)) if device == "cuda" else (64, (1, 2))
    return Settings(out, device, iterations, size, batches)


def read_settings(out: Path) -> Settings:
    content = read_json(out / "work" / "settings.json")
    return Settings(**{**content, "out": Path(content["out"]), "batches": tuple(content["batches"])})


def environment(settings: Settings) -> dict[str, str]:
    """The environment of every part: whatever caches there are go to OUT."""
    from gpu_script.carried import TEACHERS

    work = settings.work
    (work / "tmp").mkdir(parents=True, exist_ok=True)
    folders = {
        "TMPDIR": work / "tmp",
        "XDG_CACHE_HOME": work / "cache",
        "EDGEKD_CACHE": work / "cache" / "edgekd",
        "EDGEKD_TEACHERS": TEACHERS,
        "TORCHINDUCTOR_CACHE_DIR": work / "cache" / "inductor",
        "TRITON_CACHE_DIR": work / "cache" / "triton",
        "CUDA_CACHE_PATH": work / "cache" / "cuda",
    }
    return os.environ | {name: str(folder) for name, folder in folders.items()}


def part_command(module: str, settings: Settings, *words: str) -> list[str]:
    """The command that runs a module of the script."""
    return [sys.executable, "-m", f"gpu_script.{module}", str(settings.out), *words]
