"""What bfloat16 gives for the layers that are not INT8, and what it does to the map: OpenVINO on the CPU.

    python benchmarks/bfloat16.py ARTIFACT --images FOLDER [--threads N] [--rounds 25] [--json FILE]

The graph is compiled twice, with its float layers in float32, as edgekd runs it, and in bfloat16, and timed in turn on
the folder's images. The difference of the maps is their root mean square over the standard deviation of the float32
ones, as `--max-drift` limits it. Needs a processor that computes in bfloat16.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from edgekd.artifact import checked_content, read_manifest, write_json
from edgekd.data.good_images import read_frames
from edgekd.data.images import list_images
from edgekd.engines.openvino import cpu_options
from edgekd.preprocessing import preprocessing_of
from edgekd.profiling.timing import device_record
from edgekd.quantization.drift import map_noise

IMAGES = 8
WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise SystemExit("this processor does not compute in bfloat16")
    manifest = read_manifest(arguments.artifact)
    model = core.read_model(checked_content(arguments.artifact, manifest), b"")
    paths = list_images(arguments.images)[:IMAGES]
    frames = read_frames(paths, preprocessing_of(manifest))
    options = cpu_options(arguments.threads)
    requests = {
        name: core.compile_model(model, "CPU", options | {"INFERENCE_PRECISION_HINT": hint}).create_infer_request()
        for name, hint in (("float32", "f32"), ("bfloat16", "bf16"))
    }
    times: dict[str, list[float]] = {name: [] for name in requests}
    for turn in range(WARM_UP + arguments.rounds):
        for name, request in requests.items():
            start = time.perf_counter()
            request.infer([frames[turn % len(frames)][None]])
            if turn >= WARM_UP:
                times[name].append(time.perf_counter() - start)
    maps = {name: _maps(request, frames) for name, request in requests.items()}
    milliseconds = {name: 1e3 * float(np.median(each)) for name, each in times.items()}
    ratio = float(np.median(np.asarray(times["float32"]) / np.asarray(times["bfloat16"])))
    noise = map_noise(maps["float32"], maps["bfloat16"])
    print(f"float32 {milliseconds['float32']:.1f} ms, bfloat16 {milliseconds['bfloat16']:.1f} ms: {ratio:.2f} times")
    print(f"the maps of {len(frames)} images differ by {noise:.4f} of their standard deviation")
    if arguments.json:
        figures = {
            "system": manifest["system"],
            "precision": manifest["precision"],
            "size": frames.shape[1],
            "images": len(frames),
            "rounds": arguments.rounds,
            "median_ms": milliseconds,
            "times_as_fast": ratio,
            "noise": noise,
            "openvino": openvino.get_version(),
            "device": device_record(arguments.threads),
        }
        write_json(arguments.json, figures)


def _maps(request: Any, frames: Any) -> Any:
    maps = []
    for frame in frames:
        request.infer([frame[None]])
        maps.append(request.get_tensor("anomaly_map").data.copy())
    return np.concatenate(maps)


if __name__ == "__main__":
    main()
