"""Lists every system: parameters and multiply-accumulates by part, beside its paper's figures."""

from __future__ import annotations

import argparse
import json

from edgekd.cli.arguments import positive
from edgekd.cli.output import answer, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--size", type=positive, default=256, help="side of the image, in pixels (default: 256)")


def run(arguments: argparse.Namespace) -> int:
    from edgekd.models.description import describe_systems

    systems = describe_systems(arguments.size)
    if arguments.json:
        print(json.dumps(systems, indent=2))
        return 0
    for system in systems:
        parts = [
            (name, f"{part['parameters']:,}", f"{part['macs'] / 1e9:.2f}", f"{2 * part['macs'] / 1e9:.2f}")
            for name, part in system["parts"].items()
        ]
        title = f"{system['title']} at {arguments.size} x {arguments.size}"
        print_table(title, ("part", "parameters", "GMACs", "GFLOPs (2 x MAC)"), parts)
        rows = [
            (
                row["row"],
                row["table"],
                _printed(row["paper_parameters_m"]),
                f"{row['parameters'] / 1e6:.6f}",
                _printed(row["paper_gflops"]),
                f"{row['gflops']:.2f}",
            )
            for row in system["paper"]["rows"]
        ]
        if not rows:
            answer.print(f"{system['paper']['source']} prints no counts that are known here.\n")
            continue
        columns = ("paper's row", "table", "M params", "ours", "GFLOPs", "ours")
        print_table(f"{system['paper']['source']}, at 256 x 256", columns, rows)
        answer.print(f"The paper's GFLOPs: {system['paper']['flops_convention']}.\n")
    return 0


def _printed(figure: float | None) -> str:
    return "" if figure is None else f"{figure:g}"
