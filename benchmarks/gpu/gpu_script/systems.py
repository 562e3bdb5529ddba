"""All six systems on one device: each deployed network in torch beside the measured peak, and training's speed."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import time
from typing import Any

import torch

from gpu_script import part
from gpu_script.part import Clock
from gpu_script.record import Record
from gpu_script.settings import PRECISIONS, SYSTEM_NAMES, Settings
from gpu_script.system_worker import serve

PEAK_SECONDS, TIMING_SECONDS, LEAST_RUNS = 1.5, 0.25, 10
START_SECONDS, COMMAND_SECONDS, TRAIN_SECONDS, COMPILE_SECONDS = 90.0, 30.0, 45.0, 150.0
TRAINING_ITERATIONS = 75
TRAINING_SHARE = 0.4  # Of what is left after eager and graphs; the rest is for compiling.
# Those compiled first matter most: a camera alone, in float16.
COMPILED = (("fp16", 1), ("fp32", 1), ("fp16", 8), ("fp16", 32), ("fp32", 8), ("fp32", 32))
END_SECONDS = 8.0  # For the peaks, again.
NO_ANSWER = "no answer"


class Remote:
    """A worker in a process of its own, which is killed and begun anew where it does not answer in time."""

    def __init__(self, settings: Settings, threads: int | None) -> None:
        self._arguments = (settings.device, settings.size, str(settings.work), threads)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._arguments))
        self._process.start()
        theirs.close()
        self._built: list[str] = []

    def send(self, name: str, /, **arguments: Any) -> None:
        self._connection.send((name, arguments))

    def receive(self, patience: float) -> dict[str, Any]:
        """The answer to what was sent, or the problem that there is none."""
        try:
            if not self._connection.poll(max(patience, 1.0)):
                self._begin_anew()
                return {"problem": f"{NO_ANSWER} within {patience:.0f} s"}
            answer: dict[str, Any] = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(5.0)
            code = self._process.exitcode
            self._begin_anew()
            return {"problem": f"the process ended with exit code {code}"}
        if "CUDA error" in answer.get("problem", ""):  # The context of that process may be of no more use.
            self._begin_anew()
        return answer

    def ask(self, patience: float, name: str, /, **arguments: Any) -> dict[str, Any]:
        try:
            self.send(name, **arguments)
        except OSError:
            self._begin_anew()
            self.send(name, **arguments)
        return self.receive(patience)

    def build(self, system: str, seconds: float) -> dict[str, Any]:
        """Has a system's networks made, if that is not done already."""
        if system in self._built:
            return {"result": {}}
        answer = self.ask(seconds, "build", system=system)
        if "result" in answer:
            self._built.append(system)
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.join(5.0)
        self._connection.close()

    def _begin_anew(self) -> None:
        self.stop()
        self._start()


def measure(settings: Settings, clock: Clock, record: Record) -> None:
    on_gpu = settings.on_gpu
    threads = None if on_gpu else 1
    remotes = {system: Remote(settings, threads) for system in SYSTEM_NAMES} if on_gpu else {}
    if not on_gpu:  # One after the other, in one process: a rehearsal has few cores.
        remotes = dict.fromkeys(SYSTEM_NAMES, Remote(settings, threads))
    try:
        _Measurement(settings, clock, record, remotes).run()
    finally:
        for remote in set(remotes.values()):
            remote.stop()


class _Measurement:
    """The part's steps, each of which takes what time is left and notes what it leaves out."""

    def __init__(self, settings: Settings, clock: Clock, record: Record, remotes: dict[str, Remote]) -> None:
        self._settings, self._clock, self._record, self._remotes = settings, clock, record, remotes
        self._macs: dict[str, int] = {}
        self._weights: dict[str, dict[str, int]] = {}
        self._peaks: dict[str, float] = {}
        self._bandwidth = 0.0
        seconds, runs = TIMING_SECONDS, LEAST_RUNS
        if settings.iterations is not None:
            seconds, runs = 0.0, settings.iterations
        self._timing = {"seconds": seconds, "at_least": runs}

    def run(self) -> None:
        self._record.put("device", value=device_facts(self._settings))
        self._record.put("measured", value=how(self._settings, self._timing))
        self._measure_peaks()
        self._build()
        self._eager_and_graphs()
        self._training()
        self._compiled()
        self._measure_peaks()
        self._rate_again()

    def _measure_peaks(self) -> None:
        """The better of both looks, at the beginning and at the end."""
        seconds = PEAK_SECONDS if self._settings.iterations is None else 0.1
        answer = self._ask(SYSTEM_NAMES[0], START_SECONDS, "peak", seconds=seconds)
        if self._failed(answer, "peak"):
            return
        for name, value in answer["result"]["peaks"].items():
            self._peaks[name] = max(value, self._peaks.get(name, 0.0))
        self._bandwidth = max(self._bandwidth, answer["result"]["bandwidth"])
        self._record.put("device", "peak_macs_per_second", value=self._peaks)
        self._record.put("device", "bandwidth_bytes_per_second", value=self._bandwidth)

    def _build(self) -> None:
        """All at once where each system has a process of its own."""
        waiting = []
        for system, remote in self._remotes.items():
            if self._settings.on_gpu:
                remote.send("build", system=system)
                waiting.append(system)
            else:
                self._built(system, remote.build(system, START_SECONDS))
        for system in waiting:
            answer = self._remotes[system].receive(START_SECONDS)
            if "result" in answer:
                self._remotes[system]._built.append(system)
            self._built(system, answer)

    def _built(self, system: str, answer: dict[str, Any]) -> None:
        if not self._failed(answer, f"{system}: building"):
            self._macs[system] = answer["result"]["macs"]
            self._weights[system] = answer["result"]["weight_bytes"]
            self._record.put("systems", system, "macs", value=self._macs[system])

    def _eager_and_graphs(self) -> None:
        engines = ("eager", "graph") if self._settings.on_gpu else ("eager",)
        if not self._settings.on_gpu:
            self._record.add("left_out", "CUDA graphs: a CPU has none")
        # A CPU takes seconds for float16: a rehearsal has it last, and once.
        precisions = PRECISIONS if self._settings.on_gpu else PRECISIONS[::-1]
        for precision, batch, system, engine in itertools.product(
            precisions, self._settings.batches, self._macs, engines
        ):
            if precision == "fp16" and not self._settings.on_gpu and batch > 1:
                continue
            if not self._has_time(1.0, f"{system} {precision} batch {batch} {engine}"):
                continue
            self._remotes[system].build(system, self._patience(START_SECONDS))  # Again, where it had to begin anew.
            what = {"system": system, "precision": precision, "batch": batch, "engine": engine}
            answer = self._ask(system, COMMAND_SECONDS, "measure", **what, **self._timing)
            self._note(system, precision, batch, engine, answer)

    def _training(self) -> None:
        end = time.monotonic() + (self._clock.left - END_SECONDS) * TRAINING_SHARE
        iterations = self._settings.iterations or TRAINING_ITERATIONS
        for system in SYSTEM_NAMES:
            if time.monotonic() > end:
                self._record.add("left_out", f"{system} training: no time left")
                continue
            answer = self._ask(system, TRAIN_SECONDS, "train", system=system, iterations=iterations)
            if not self._failed(answer, f"{system}: training"):
                self._record.put("systems", system, "training", value=answer["result"])

    def _compiled(self) -> None:
        """In rounds: a configuration is compiled for all systems at once, then each is timed alone."""
        if not self._settings.on_gpu:
            self._record.add("left_out", "torch.compile: a CPU's C++ compiler takes minutes for a network")
            return
        systems = list(self._macs)
        longest = 0.0  # That a round took.
        for precision, batch in COMPILED:
            name = f"torch.compile {precision} batch {batch}"
            if batch not in self._settings.batches or not self._has_time(max(10.0, longest) + END_SECONDS, name):
                continue
            begun = time.monotonic()
            self._compile_round(systems, precision, batch)
            longest = max(longest, time.monotonic() - begun)

    def _compile_round(self, systems: list[str], precision: str, batch: int) -> None:
        waiting = []
        for system in systems:
            remote = self._remotes[system]
            if not self._failed(remote.build(system, START_SECONDS), f"{system}: building"):
                remote.send("compile", system=system, precision=precision, batch=batch)
                waiting.append(system)
        deadline = time.monotonic() + min(COMPILE_SECONDS, self._clock.left - END_SECONDS)
        took = {}
        for system in waiting:
            answer = self._remotes[system].receive(deadline - time.monotonic())
            if not self._failed(answer, f"{system}: torch.compile {precision} batch {batch}"):
                took[system] = answer["result"]["compile_s"]
        for system, seconds in took.items():
            for engine in ("compile", "compile_graph"):
                what = {"system": system, "engine": engine}
                answer = self._ask(system, COMMAND_SECONDS, "measure_compiled", **what, **self._timing)
                if "result" in answer:
                    answer["result"]["compile_s"] = seconds
                self._note(system, precision, batch, engine, answer)

    def _has_time(self, seconds: float, name: str) -> bool:
        if self._clock.left < seconds + END_SECONDS:
            self._record.add("left_out", f"{name}: no time left")
            return False
        return True

    def _patience(self, seconds: float) -> float:
        """How long to wait for an answer: not past the part's own end."""
        return min(seconds, self._clock.left)

    def _ask(self, system: str, patience: float, name: str, /, **arguments: Any) -> dict[str, Any]:
        return self._remotes[system].ask(self._patience(patience), name, **arguments)

    def _failed(self, answer: dict[str, Any], name: str) -> bool:
        if NO_ANSWER in answer.get("problem", "") and self._clock.left < END_SECONDS + 2:
            self._record.add("left_out", f"{name}: no time left")
            return True
        if "problem" in answer:
            self._record.problem(f"{name}: {answer['problem']}")
            return True
        return False

    def _note(self, system: str, precision: str, batch: int, engine: str, answer: dict[str, Any]) -> None:
        if self._failed(answer, f"{system} {precision} batch {batch} {engine}"):
            return
        if not math.isfinite(answer["result"]["off_by"]):
            self._record.problem(f"{system} {precision} batch {batch} {engine}: the map is not finite")
        row = answer["result"] | {
            "engine": {
                "backend": "torch",
                "version": torch.__version__,
                "mode": engine,
                "system": system,
                "precision": precision,
                "batch": batch,
                "height": self._settings.size,
                "width": self._settings.size,
                "trained": False,
            },
            "macs": self._macs[system],
        }
        self._record.put("systems", system, precision, str(batch), engine, value=self._rated(row))

    def _rated(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with its share of the peak, and with the least time that the limits allow."""
        engine, latency = row["engine"], row["latency_ms"]
        precision, batch, size = engine["precision"], engine["batch"], engine["height"]
        milliseconds = latency.get("gpu_compute", latency["inference"])["median"]
        macs = row["macs"] * batch
        peak = self._peaks.get(precision)
        moved = self._weights[engine["system"]][precision] + batch * size * size * (3 + 4)
        floors = [macs / peak] if peak else []
        floors += [moved / self._bandwidth] if self._bandwidth else []
        achieved = macs / milliseconds * 1e3
        return row | {
            "macs_per_second": achieved,
            "peak_share": achieved / peak if peak else None,
            "peak_share_of": precision,
            "floor_ms": max(floors) * 1e3 if len(floors) == 2 else None,
        }

    def _rate_again(self) -> None:
        """Against the better peaks of both looks."""
        for system, precision in itertools.product(self._macs, PRECISIONS):
            for engines in self._record.content.get("systems", {}).get(system, {}).get(precision, {}).values():
                for engine, row in engines.items():
                    engines[engine] = self._rated(row)
        self._record.write()


def device_facts(settings: Settings) -> dict[str, Any]:
    """The device of this part's figures; device.json has all the rest."""
    if not settings.on_gpu:
        return {"name": "CPU", "threads": 1}
    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def how(settings: Settings, timing: dict[str, Any]) -> dict[str, Any]:
    return {
        "timed_region": "inference: frames in page-locked memory to scores and maps there, by the host's clock; "
        "gpu_compute: the network alone, by the GPU's events; throughput_fps: the network alone, run after run"
        if settings.on_gpu
        else "inference: the network alone; a rehearsal, not a measurement",
        "networks": "untrained, deployed form, channels last, EfficientNet-Lite teachers",
        "fp16": "convolutions in float16 by autocast, squares, sums, norms and the maps' last resizes in float32",
        "fp32": "without TensorFloat-32",
        "engines": "eager; graph: a CUDA graph of it; compile: torch.compile; compile_graph: a CUDA graph of that",
        "off_by": "the first map's root mean square distance from eager fp32, over that map's standard deviation",
        "peak": "the best large matrix product or chain of 3 x 3 convolutions in torch, before and after the rest",
        "floor_ms": "the longer of: multiply-accumulates at the peak; weights, frames and answers at the bandwidth",
        "least_runs": timing["at_least"],
        "seconds": timing["seconds"],
    }


if __name__ == "__main__":
    part.run("systems", measure)
