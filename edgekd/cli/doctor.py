"""Says what this machine has, which back ends work here, and what to install for the others."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from edgekd.cli.arguments import add_json_argument
from edgekd.cli.output import answer, notes, print_table, write_json_to
from edgekd.engines.tensorrt.flavours import RTX
from edgekd.errors import MachineError
from edgekd.machine.backends import Backend, try_backends, try_cuda
from edgekd.machine.record import Machine, read_machine

GIB = 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    machine = read_machine()
    with notes.status("trying the back ends"):
        device, why_no_cuda = try_cuda()
        backends = try_backends(machine)
    cuda = {"device": device, "why_not": why_no_cuda}
    content = {"machine": asdict(machine), "cuda": cuda, "backends": [asdict(backend) for backend in backends]}
    write_json_to(arguments.json, content)
    if arguments.json != Path("-"):
        _print_machine(machine, device, why_no_cuda)
        _print_backends(backends)
    if any(backend.usable for backend in backends):
        return 0
    notes.print("no back end works on this machine: pip install openvino onnxruntime", soft_wrap=True)
    return MachineError.exit_code


def _print_machine(machine: Machine, device: dict[str, str] | None, why_no_cuda: str | None) -> None:
    grid = Table.grid(padding=(0, 2))
    for name, value in _machine_rows(machine):
        grid.add_row(name, value)
    if device is None:
        grid.add_row("CUDA", f"no: {why_no_cuda}")
    else:
        grid.add_row(
            "CUDA",
            f"{device['name']}, compute capability {device['capability']}, driver for CUDA {device['cuda']} "
            f"or older, by {device['package']}",
        )
    answer.print(grid)


def _machine_rows(machine: Machine) -> Iterator[tuple[str, str]]:
    if machine.model:
        yield "board", machine.model
    if machine.l4t:
        yield "system", f"L4T {machine.l4t}, {_jetpack(machine)}"
    else:
        yield "system", f"{machine.system}, {machine.architecture}"
    yield "Python", machine.python
    int8 = ", ".join(machine.cpu.int8) or "none"
    yield "CPU", f"{machine.cpu.name or 'unknown'}, {machine.cpu.cores} cores usable, INT8 instructions: {int8}"
    if machine.gpu:
        memory = f", {machine.gpu.memory_bytes / GIB:.1f} GiB" if machine.gpu.memory_bytes else ""
        yield "GPU", f"{machine.gpu.name or 'NVIDIA'}, driver {machine.gpu.driver}{memory}"
    elif machine.l4t is None:
        yield "GPU", "an NVIDIA card without a driver" if machine.nvidia_card else "none of NVIDIA"
    if machine.memory_bytes:
        yield "memory", f"{machine.memory_bytes / GIB:.1f} GiB"
    yield "disk", f"{machine.free_disk_bytes / GIB:.1f} GiB free here"
    packages = [f"{name} {version}" for name, version in machine.packages.items() if version]
    yield "packages", ", ".join(packages) or "none of a back end"


def _jetpack(machine: Machine) -> str:
    if machine.jetpack is None:
        return "of no JetPack known here"
    known = machine.jetpack
    nearest = "" if known.l4t == machine.l4t else f" or newer (L4T {known.l4t} is the nearest known)"
    too_old = "" if known.is_supported else ": too old for edgekd, which needs JetPack 6.1"
    return f"JetPack {known.release}{nearest} with CUDA {known.cuda}, TensorRT {known.tensorrt}{too_old}"


def _print_backends(backends: list[Backend]) -> None:
    rows = [(backend.name, backend.version or "-", "yes" if backend.usable else "no") for backend in backends]
    answer.print()
    print_table("back ends", ("back end", "installed", "works here"), rows)
    for backend in backends:
        if not backend.usable:
            answer.print(f"{backend.name}: {backend.why_not}", soft_wrap=True)
            answer.print(f"    {backend.install or _without_install(backend)}", soft_wrap=True)


def _without_install(backend: Backend) -> str:
    if backend.name == RTX and backend.version:
        return "nothing to install: it runs no engine on this machine, and builds them for others (edgekd build)"
    return "nothing to install: it is not for this machine"
