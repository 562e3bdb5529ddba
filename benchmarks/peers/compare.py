"""edgekd beside its peers, in turn, in one run: the same images, size and threads, decoded image to score.

Every peer is a process in an environment of its own, made by benchmarks/peers/environments.sh. While one works the
others are stopped, so that no thread of theirs can wait by spinning.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.artifact import read_manifest, write_json
from edgekd.data.images import list_images, read_image
from edgekd.engines.cores import usable_cores
from edgekd.errors import EdgekdError
from edgekd.profiling.timing import device_record

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".environments"
OURS = {"edgekd INT8": "detector_int8.onnx", "edgekd FP32": "detector.onnx"}
PEERS = {  # name -> environment, script, what it is told
    "torch, eager": ("torch_eager", "torch_eager.py", "run"),
    "plain ONNX Runtime": ("plain_onnx", "plain_onnx.py", "run"),
    "anomalib EfficientAD-S, OpenVINO": ("anomalib", "anomalib_efficientad.py", "small"),
    "anomalib EfficientAD-M, OpenVINO": ("anomalib", "anomalib_efficientad.py", "medium"),
}
BENCHMARK_APP = "OpenVINO benchmark_app, FP32, network alone"
SECONDS = 4  # Of benchmark_app, a round.
IMAGES = 6
LEAST_EFFICIENTAD = 256  # Pixels: its autoencoder's kernels are larger than what is left of smaller images.


class Peer:
    """A worker's process. It is stopped, but for its turns.

    Args:
        command: That starts it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._answer(command)
        self._process.send_signal(signal.SIGSTOP)

    def turn(self) -> dict[str, list[float]]:
        """Inspects every image once: milliseconds and scores."""
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        answer = self._answer(self._process.args)
        self._process.send_signal(signal.SIGSTOP)
        return answer

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()

    def _answer(self, command: Any) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EdgekdError(f"{Path(command[1]).name} ended with {self._process.wait()}: its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a trained run, exported in FP32 and INT8")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        figures = compare(arguments.run, arguments.images, arguments.rounds)
    except EdgekdError as error:
        sys.exit(f"compare.py: {error}")
    if arguments.json:
        write_json(arguments.json, figures)
    for row in figures["rows"]:
        low, middle, high = row["ratio"]
        print(f"{row['peer']:46} {row['median_ms']:8.1f} ms  {middle:5.2f} ({low:.2f} to {high:.2f})")


def compare(run: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Times every peer in every round, in an order that turns from round to round.

    Args:
        run: A trained run with detector.onnx and detector_int8.onnx.
        folder: Of images.
        rounds: How often.

    Raises:
        EdgekdError: An environment is missing, or a peer failed.
    """
    size = read_manifest(run / OURS["edgekd FP32"])["inputs"]["frames"]["shape"][1]
    threads = usable_cores()
    paths = list_images(folder)[:IMAGES]
    peers: dict[str, Peer] = {}
    times: dict[str, list[list[float]]] = {}
    scores: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary) / "images.npz"
        np.savez(images, *[read_image(path) for path in paths])

        def given(side: int) -> list[str]:
            return [str(images), str(side), str(threads)]

        try:
            for name, artifact in OURS.items():
                peers[name] = Peer(
                    [sys.executable, str(HERE / "edgekd_openvino.py"), *given(size), str(run / artifact)]
                )
            for name, (environment, script, told) in PEERS.items():
                last, side = (str(run), size) if told == "run" else (told, max(size, LEAST_EFFICIENTAD))
                peers[name] = Peer([python_of(environment), str(HERE / script), *given(side), last])
            names = [*peers, BENCHMARK_APP]
            for turn in range(rounds):
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    if name in peers:
                        answer = peers[name].turn()
                        scores[name] = answer["scores"]
                        times.setdefault(name, []).append(answer["milliseconds"])
                    else:
                        times.setdefault(name, []).append([_benchmark_app(run / OURS["edgekd FP32"], threads)])
                print(f"round {turn + 1} of {rounds}", file=sys.stderr)
        finally:
            for peer in peers.values():
                peer.close()
    about = {name: peer.about for name, peer in peers.items()} | {BENCHMARK_APP: _about_benchmark_app()}
    return {
        "device": device_record(threads),
        "run": run.name,
        "sha256": {name: read_manifest(run / artifact)["sha256"] for name, artifact in OURS.items()},
        "size": size,
        "images": len(paths),
        "rounds": rounds,
        "timed_region": "decoded image to score, resizing included; of benchmark_app the network alone",
        "rows": _rows(times, about),
        "scores": scores,
    }


def _rows(times: dict[str, list[list[float]]], about: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each peer its median time, and how many times that of our INT8 it is: quartiles over the rounds."""
    medians = {name: np.array([np.median(turn) for turn in turns]) for name, turns in times.items()}
    ours = medians["edgekd INT8"]
    return [
        {
            "peer": name,
            "median_ms": float(np.median(each)),
            "ratio": [float(value) for value in np.percentile(each / ours, (25, 50, 75))],
            **about[name],
        }
        for name, each in medians.items()
    ]


def python_of(environment: str) -> str:
    """The interpreter of a peer's environment.

    Raises:
        EdgekdError: There is none yet.
    """
    python = ENVIRONMENTS / environment / "bin" / "python"
    if not (ENVIRONMENTS / environment / ".ready").exists():
        raise EdgekdError(f"{environment} has no environment yet: run benchmarks/peers/environments.sh")
    return str(python)


def _benchmark_app(artifact: Path, threads: int) -> float:
    """The median latency that OpenVINO's own tool reports, in milliseconds."""
    tool = Path(python_of("benchmark_app")).with_name("benchmark_app")
    options = ["-hint", "none", "-nstreams", "1", "-api", "sync", "-infer_precision", "f32", "-nthreads", str(threads)]
    command = [tool, "-m", artifact, "-d", "CPU", "-t", str(SECONDS), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Median:\s+([\d.]+) ms", done.stdout)
    if found is None:
        raise EdgekdError(f"benchmark_app told no median: {(done.stdout + done.stderr)[-300:]}")
    return float(found[1])


def _about_benchmark_app() -> dict[str, Any]:
    python = python_of("benchmark_app")
    version = subprocess.check_output([python, "-c", "import openvino; print(openvino.get_version())"], text=True)
    return {"versions": {"openvino": version.split("-")[0]}, "what": "edgekd's FP32 graph, network alone, no resizing"}


if __name__ == "__main__":
    main()
