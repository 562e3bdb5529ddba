"""What TensorRT for RTX makes of graphs: layers by data type, bytes that they move, reformats. It needs no GPU.

    python benchmarks/tensorrt_layers.py GRAPH.onnx... [--compute-capability 8.9] [--json FILE]

Bytes are those of all inputs and outputs of layers for one batch, weights aside, as the builder lists them; what a
GPU's cache saves is not in them. The kernels themselves are chosen on the GPU.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from edgekd.artifact import read_manifest, write_json
from edgekd.engines.tensorrt.building import BuildOptions, build_engine
from edgekd.engines.tensorrt.flavours import RTX, load_flavour
from edgekd.engines.tensorrt.layers import bytes_moved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", type=Path, nargs="+", metavar="GRAPH.onnx")
    parser.add_argument("--compute-capability", default="8.9")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    flavour = load_flavour(RTX)
    rows = []
    print("system, precision: convolutions that read INT8 / FP16 / FP32; MB of INT8 / FP16 / FP32; layers; reformats")
    for graph in arguments.graphs:
        manifest = read_manifest(graph)
        layers = build_engine(graph, flavour, BuildOptions((arguments.compute_capability,))).layers
        read = Counter(layer.reads for layer in layers if layer.is_convolution)
        moved = bytes_moved(layers)
        row = {
            "system": manifest["system"],
            "precision": manifest["precision"],
            "frames": manifest["inputs"]["frames"]["shape"],
            "layers": len(layers),
            "convolutions_reading": {kind: read[kind] for kind in ("Int8", "Half", "Float")},
            "bytes_moved": moved,
            "reformats": sum(layer.is_reformat for layer in layers),
        }
        rows.append(row)
        counts = " / ".join(str(read[kind]) for kind in ("Int8", "Half", "Float"))
        megabytes = " / ".join(f"{moved.get(kind, 0) / 1e6:.1f}" for kind in ("Int8", "Half", "Float"))
        print(f"{row['system']}, {row['precision']}: {counts}; {megabytes}; {len(layers)}; {row['reformats']}")
    if arguments.json:
        builder = f"{flavour.title} {flavour.version}"
        write_json(arguments.json, {"builder": builder, "capability": arguments.compute_capability, "graphs": rows})


if __name__ == "__main__":
    main()
