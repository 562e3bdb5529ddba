"""The process that holds systems' networks and times them on command: what hangs or faults there costs no other."""

from __future__ import annotations

import gc
import shutil
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from edgekd.errors import one_line
from edgekd.models.counting import count
from gpu_script.deployment import Deployment, Run
from gpu_script.networks import deployed_network, exact_float32, light_detector
from gpu_script.peak import measure_bandwidth, measure_peaks
from gpu_script.training_speed import measure_training


class Worker:
    """Does what it is asked for; every method is a command.

    Args:
        device: "cuda" or "cpu".
        size: The side of images, in pixels.
        work: A folder for what training writes.
        threads: Of torch on the CPU; None for as many as it takes.
    """

    def __init__(self, device: str, size: int, work: Path, threads: int | None) -> None:
        self._device, self._size, self._work = torch.device(device), size, work
        if threads is not None:
            torch.set_num_threads(threads)
        if device == "cuda":
            torch.cuda.init()
            torch.backends.cudnn.benchmark = True
        exact_float32()
        self._networks: dict[tuple[str, str], torch.nn.Module] = {}
        self._answers: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._compiled: tuple[Deployment, Run] | None = None

    def peak(self, seconds: float) -> dict[str, Any]:
        peaks = measure_peaks(self._device, seconds)
        return {"peaks": peaks, "bandwidth": measure_bandwidth(self._device, seconds)}

    def build(self, system: str) -> dict[str, Any]:
        """Makes a system's networks; what they cost, counted."""
        torch.manual_seed(0)
        detector = light_detector(system, self._size)
        macs = count(detector.deployed(), self._size).macs
        for precision in ("fp32", "fp16"):
            self._networks[system, precision] = deployed_network(detector, precision, self._device)
        weights = {
            precision: sum(entry.nbytes for entry in self._networks[system, precision].state_dict().values())
            for precision in ("fp32", "fp16")
        }
        return {"macs": macs, "weight_bytes": weights}

    @torch.no_grad()
    def measure(
        self, system: str, precision: str, batch: int, engine: str, seconds: float, at_least: int
    ) -> dict[str, Any]:
        """Times a network, "eager" or as a "graph"."""
        deployment = Deployment(self._networks[system, precision], batch, self._size, self._device)
        run = deployment.eager() if engine == "eager" else deployment.captured(deployment.eager())
        return self._figures(deployment, run, system, seconds, at_least)

    @torch.no_grad()
    def compile(self, system: str, precision: str, batch: int) -> dict[str, Any]:
        """Compiles a network; `measure_compiled` times it."""
        start = time.perf_counter()
        deployment = Deployment(self._networks[system, precision], batch, self._size, self._device)
        self._compiled = deployment, deployment.compiled()
        return {"compile_s": time.perf_counter() - start}

    @torch.no_grad()
    def measure_compiled(self, system: str, engine: str, seconds: float, at_least: int) -> dict[str, Any]:
        """Times what was compiled last, as it is ("compile") or as a graph ("compile_graph")."""
        assert self._compiled is not None, "nothing is compiled"
        deployment, run = self._compiled
        wanted = run if engine == "compile" else deployment.captured(run)
        return self._figures(deployment, wanted, system, seconds, at_least)

    def train(self, system: str, iterations: int) -> dict[str, Any]:
        """Times a system's training."""
        self._compiled = None
        self._free()
        folder = self._work / "training_speed" / system
        shutil.rmtree(folder, ignore_errors=True)
        try:
            return measure_training(system, self._size, iterations, self._device, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._free()

    def _figures(self, deployment: Deployment, run: Run, system: str, seconds: float, at_least: int) -> dict[str, Any]:
        figures = deployment.measure(run, seconds, at_least)
        return figures | {"off_by": self._off_by(deployment.answer(run), system)}

    def _off_by(self, answer: tuple[torch.Tensor, torch.Tensor], system: str) -> float:
        """The maps' root mean square distance from those of the first frame in eager float32, over their deviation."""
        _, maps = answer
        if system not in self._answers:
            exact = Deployment(self._networks[system, "fp32"], 1, self._size, self._device)
            self._answers[system] = exact.answer(exact.eager())
        wanted = self._answers[system][1][0].double()
        spread = float(wanted.std()) or 1.0
        return float((maps[0].double() - wanted).square().mean().sqrt()) / spread

    def _free(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def serve(connection: Connection, device: str, size: int, work: str, threads: int | None) -> None:
    """Answers commands until the other side goes: (name, arguments) by {"result": ...} or {"problem": one line}."""
    worker: Worker | None = None
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        try:
            if worker is None:
                worker = Worker(device, size, Path(work), threads)
            connection.send({"result": getattr(worker, name)(**arguments)})
        except Exception as error:
            traceback.print_exc()
            connection.send({"problem": f"{type(error).__name__}: {one_line(error)}"[:300]})
