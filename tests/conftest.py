"""Fixtures that several tests share: real images, a tiny teacher, a trained run, an exported detector."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import elpv_dataset
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

import edgekd.profiling.bench as bench_module
import edgekd.workflows.lowering_images as lowering_images
import edgekd.workflows.scoring as scoring
from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.models.backbones.pdn import pdn
from edgekd.precisions import PRECISIONS
from edgekd.recipe import TrainingRecipe
from edgekd.training.run import start_run, train
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.weight_files import write_weights

from .run_command import main

ELPV = Path(elpv_dataset.__file__).parent / "data"
# How long an example takes is the machine's matter: the tests share it with others.
settings.register_profile("edgekd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edgekd")

MANY = 110  # Good images, so that eleven are held out and a threshold can be set.


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What edgekd remembers and keeps on this machine goes to a folder of the tests' own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKD_CACHE", str(folder))
        patch.setenv("EDGEKD_TEACHERS", str(folder / "teachers"))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def exporter_is_not_traced() -> Iterator[None]:
    """Coverage looks away while torch exports a graph: following torch's own lines, it takes 2.5 times as long."""
    export = torch.onnx.export

    def untraced(*arguments: Any, **named: Any) -> Any:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return export(*arguments, **named)
        finally:
            sys.settrace(tracer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", untraced)
        yield


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_counts() -> None:
    """Shells start what runs in the background with Ctrl-C ignored; the tests of it mean the foreground."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 2 MB, which is soon full."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    words = [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)] if mount else ["false"]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Torch's threads cost small tensors more than they bring, above all where the cores are busy."""
    torch.set_num_threads(1)


def monocrystalline(probability: str) -> list[Path]:
    """Images of monocrystalline cells that were labelled with a probability of being defective."""
    rows = (line.split() for line in (ELPV / "labels.csv").read_text().splitlines())
    return sorted(ELPV / name for name, labelled, kind in rows if (labelled, kind) == (probability, "mono"))


def copy_images(paths: Iterable[Path], folder: Path, size: int) -> list[Path]:
    """Writes images as PNG, numbered, in another size."""
    folder.mkdir(parents=True)
    copies = []
    for number, path in enumerate(paths):
        copies.append(folder / f"{number:03}.png")
        cv2.imwrite(str(copies[-1]), resize_image(read_image(path), size, size))
    return copies


@pytest.fixture(scope="session")
def elpv_images() -> list[Path]:
    """Real images of sound monocrystalline cells."""
    return monocrystalline("0.0")


@pytest.fixture
def good_folder(elpv_images: list[Path], tmp_path: Path) -> Path:
    """A folder with 24 real good images of 96 pixels a side."""
    copy_images(elpv_images[:24], tmp_path / "good", 96)
    return tmp_path / "good"


@pytest.fixture
def forty_good(elpv_images: list[Path], tmp_path: Path) -> Path:
    """A folder with 40 real good images of 64 pixels a side: enough to hold ten of them out."""
    copy_images(elpv_images[:40], tmp_path / "forty", 64)
    return tmp_path / "forty"


@pytest.fixture(scope="session", autouse=True)
def few_scores() -> Iterator[None]:
    """Export scores a few of the images that were trained on, and a few synthetic defects: hundreds of tests export."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "MOST_TRAINED", 10)
        patch.setattr(scoring, "DEFECTS", 7)  # One of each kind.
        patch.setattr(lowering_images, "TRAINED", 10)
        patch.setattr(lowering_images, "DEFECTS", 14)
        yield


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bench warms up and looks at the device's limits for moments: for tests of what it does with what it finds."""
    for name in ("peak_macs_fp32", "peak_macs_int8", "memory_bandwidth"):
        monkeypatch.setattr(bench_module, name, partial(getattr(bench_module, name), 0.05))
    monkeypatch.setattr(bench_module, "WARM_UP_SECONDS", 0.05)


@pytest.fixture
def category(elpv_images: list[Path], tmp_path: Path) -> Path:
    """A category in the layout of MVTec AD, of real cells; its masks are made: the middle of each defective cell."""
    root = tmp_path / "cell"
    copy_images(elpv_images[:8], root / "train" / "good", 96)
    copy_images(elpv_images[8:14], root / "test" / "good", 96)
    mask = np.zeros((96, 96), np.uint8)
    mask[32:64, 32:64] = 255
    (root / "ground_truth" / "crack").mkdir(parents=True)
    for path in copy_images(monocrystalline("1.0")[:6], root / "test" / "crack", 96):
        cv2.imwrite(str(root / "ground_truth" / "crack" / f"{path.stem}_mask.png"), mask)
    return root


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher file of float16 as distilling writes it: a PDN-S with weights drawn from a fixed seed."""
    path = tmp_path_factory.mktemp("teacher") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(7)
        write_weights(path, {key: value.half() for key, value in pdn("pdn_small").state_dict().items()})
    return path


@pytest.fixture(scope="session")
def trained_run(elpv_images: list[Path], tiny_teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of HKT at 64 pixels, trained for 20 iterations on 99 real images. Read it, do not change it."""
    folder = tmp_path_factory.mktemp("trained")
    copy_images(elpv_images[:MANY], folder / "good", 64)
    teacher = load_teacher(str(tiny_teacher))
    recipe = TrainingRecipe(
        "hkt",
        str(folder / "good"),
        {teacher.name: teacher.sha256},
        iterations=20,
        size=64,
        batch=2,
        seed=3,
        settings={"teacher": teacher.network},
    )
    start_run(folder / "run", recipe, [teacher])
    train(folder / "run", torch.device("cpu"), lambda iteration, loss: None)
    return folder / "run"


@pytest.fixture(scope="session")
def exported(trained_run: Path) -> Path:
    """The run's detector.onnx for single frames, with its manifest and threshold. Read it, do not change it.

    Its image checks are off: tests give it images of any size and kind.
    """
    assert main(["export", str(trained_run)]) == 0
    path = trained_run / "detector.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_checks": None}))
    return trained_run / "detector.onnx"


@pytest.fixture(scope="session")
def every_precision(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run, with its artifacts in all precisions. Read it, do not change it.

    It takes a minute, so the processes that the tests are spread over share it: whichever asks first makes it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, made = shared / "every_precision", shared / "every_precision.made"
    with (shared / "every_precision.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # Of one that failed.
            shutil.copytree(trained_run, folder)
            for precision in PRECISIONS:
                limit = ["--max-drift", "0.5"] if "int8" in precision else []
                assert main(["export", str(folder), "--precision", precision, *limit]) == 0
            made.touch()
    return folder
