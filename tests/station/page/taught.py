"""A project with images, and trainings that take moments."""

from __future__ import annotations

import time

import cv2

import edgekd
from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.station.page.teaching import orders
from edgekd.station.page.teaching.projects import Projects

from ...conftest import monocrystalline

WAIT_S = 300.0
SIZE = 64
TEACH = "/api/teach/cell"


def png(path):
    return cv2.imencode(".png", resize_image(read_image(path), SIZE, SIZE))[1].tobytes()


def taught(folder, elpv_images):
    """A project with images, for which nothing was ordered yet."""
    projects = Projects(folder / "data", folder / "recipes")
    project = projects.create("cell", "line", "solar cell", 3, "engineer")
    for path in elpv_images[:40]:
        project.images.add(png(path), "good", "upload", path.name, "engineer")
    for path in elpv_images[40:42]:
        project.images.add(png(path), "golden", "upload", path.name, "engineer")
    for path in monocrystalline("1.0")[:3]:
        project.images.add(png(path), "defect", "upload", path.name, "engineer")
    return project


def shortened(monkeypatch, teacher, iterations=20):
    """Lets trainings take moments: the order is that of the page, but for how long and from whom is learned."""
    real = orders._order

    def order(project, kind, number, by, options):
        if kind == "train":
            known = {name: value for name, value in options["training"].items() if name != "minutes"}
            short = {"iterations": iterations, "size": SIZE, "batch": 2, "teacher": str(teacher), "seed": 3}
            options = options | {"training": known | short}
        real(project, kind, number, by, options)

    monkeypatch.setattr(orders, "_order", order)


def quickly_exported(monkeypatch):
    """Exports INT8 from few images and with any drift: both are the export's own matter, and tested there."""
    real, quickly = edgekd.export, {"calibration_images": 8, "max_drift": 0.5}

    def export(run, precision, **more):
        return real(run, precision=precision, **(more if precision == "fp32" else more | quickly))

    monkeypatch.setattr(edgekd, "export", export)


def wait_for(condition, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.25)  # Asking costs the process that is waited for its time.
    return found
