"""Timing one deployed network: eager, compiled, as a CUDA graph, from frames in host memory to answers in it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.data.generated_images import generated_frames
from edgekd.profiling.timing import summarise
from gpu_script.peak import timed

WARM_UP_RUNS = 5
Answer = tuple[Tensor, Tensor]
Run = Callable[[], Answer]


class Deployment:
    """A network with its buffers for one batch size.

    Args:
        network: Frames uint8 [N, H, W, 3] to scores [N] and maps [N, H, W].
        batch: Frames a run.
        size: The side of a frame, in pixels.
        device: Where it computes.
    """

    def __init__(self, network: nn.Module, batch: int, size: int, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self.device, self.batch = device, batch
        self._network = network
        host = torch.from_numpy(generated_frames(batch, size))
        self._host = host.pin_memory() if on_gpu else host
        self._frames = self._host.to(device)
        self._answers = tuple(
            torch.empty(shape, dtype=torch.float32, pin_memory=on_gpu) for shape in ((batch,), (batch, size, size))
        )

    def eager(self) -> Run:
        return lambda: self._network(self._frames)

    def compiled(self) -> Run:
        """By torch.compile, for this batch size alone; compiled here."""
        torch.compiler.reset()
        compiled = torch.compile(self._network, dynamic=False)
        compiled(self._frames)
        return lambda: compiled(self._frames)

    def captured(self, run: Run) -> Run:
        """A run as a CUDA graph."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = run()

        def replay() -> Answer:
            graph.replay()
            return answer

        return replay

    def answer(self, run: Run) -> Answer:
        """What a run answers, on the CPU."""
        scores, maps = run()
        return scores.float().cpu(), maps.float().cpu()

    def measure(self, run: Run, seconds: float, at_least: int) -> dict[str, Any]:
        """Times runs.

        Args:
            run: From `eager`, `compiled` or `captured`.
            seconds: To go on for, once for latency and once for throughput.
            at_least: Runs, however long they take.

        Returns:
            `latency_ms` by stage, `throughput_fps`, `runs`, `memory_bytes` (the most that torch held; None on a CPU).
        """
        on_gpu = self.device.type == "cuda"
        for _ in range(WARM_UP_RUNS if on_gpu else 1):
            run()
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        stages: dict[str, list[float]] = {}
        end = time.perf_counter() + seconds
        while len(stages.get("inference", ())) < at_least or time.perf_counter() < end:
            for stage, milliseconds in (self._staged(run) if on_gpu else self._plain(run)).items():
                stages.setdefault(stage, []).append(milliseconds)
        return {
            "latency_ms": {stage: summarise(times) for stage, times in stages.items()},
            "runs": len(stages["inference"]),
            "throughput_fps": self._throughput(run, seconds, at_least) if on_gpu else self._rate(stages["inference"]),
            "memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        }

    def _plain(self, run: Run) -> dict[str, float]:
        start = time.perf_counter()
        run()
        return {"inference": (time.perf_counter() - start) * 1e3}

    def _staged(self, run: Run) -> dict[str, float]:
        """One batch from host memory to host memory, by events between the stages."""
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(4)]
        start = time.perf_counter()
        marks[0].record()
        self._frames.copy_(self._host, non_blocking=True)
        marks[1].record()
        before = time.perf_counter()
        answer = run()
        enqueue = time.perf_counter() - before
        marks[2].record()
        for host, device in zip(self._answers, answer, strict=True):
            host.copy_(device, non_blocking=True)
        marks[3].record()
        marks[3].synchronize()
        inference = time.perf_counter() - start
        spans = [first.elapsed_time(second) for first, second in itertools.pairwise(marks)]
        return {
            "enqueue": enqueue * 1e3,
            "h2d": spans[0],
            "gpu_compute": spans[1],
            "d2h": spans[2],
            "inference": inference * 1e3,
        }

    def _rate(self, milliseconds: list[float]) -> float:
        return self.batch * 1e3 * len(milliseconds) / sum(milliseconds)

    def _throughput(self, run: Run, seconds: float, at_least: int) -> float:
        """Frames a second of runs that follow each other without a pause; copies are not in it."""
        once = timed(run, self.device)
        count = max(at_least, min(1000, round(seconds / max(once, 1e-6))))

        def many() -> None:
            for _ in range(count):
                run()

        return count * self.batch / timed(many, self.device)
