"""`edgekd doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgekd.cli.options import JsonFile
from edgekd.cli.output import answer, notes, print_table, require_writable, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.errors import MachineError

if TYPE_CHECKING:
    from edgekd.machine.backends import Backend
    from edgekd.machine.record import Machine

GIB = 2**30

app = typer.Typer(add_completion=False)


@app.command()
def doctor(json: JsonFile = None) -> None:
    """Show what this machine has, which back ends work here, and what to install for the others.

    Exits with code 3 if no back end works.
    """
    from edgekd.machine.diagnosis import diagnose

    require_writable(json)
    with show_progress() as progress:
        diagnosis = diagnose(progress)
    write_json_to(json, diagnosis.to_dict())
    if json != Path("-"):
        _print_machine(diagnosis.machine, diagnosis.cuda)
        _print_backends(diagnosis.backends)
    if not diagnosis.usable:
        notes.print("no back end works on this machine: pip install openvino onnxruntime", soft_wrap=True)
        raise typer.Exit(MachineError.exit_code)


def _print_machine(machine: Machine, cuda: dict[str, Any]) -> None:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for name, value in _machine_rows(machine):
        grid.add_row(name, value)
    device = cuda["device"]
    if device is None:
        grid.add_row("CUDA", f"no: {cuda['why_not']}")
    else:
        grid.add_row(
            "CUDA",
            f"{device['name']}, compute capability {device['capability']}, driver for CUDA {device['cuda']} "
            f"or older, through {device['package']}",
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
    int8 = "not known" if machine.cpu.int8 is None else ", ".join(machine.cpu.int8) or "none"
    yield "CPU", f"{machine.cpu.name or 'unknown'}, {machine.cpu.cores} cores usable, INT8 instructions: {int8}"
    if machine.gpu:
        memory = f", {machine.gpu.memory_bytes / GIB:.1f} GiB" if machine.gpu.memory_bytes else ""
        yield "GPU", f"{machine.gpu.name or 'NVIDIA'}, driver {machine.gpu.driver}{memory}"
    elif machine.l4t is None:
        yield "GPU", "an NVIDIA card without a driver" if machine.nvidia_card else "no NVIDIA GPU"
    if machine.memory_bytes:
        yield "memory", f"{machine.memory_bytes / GIB:.1f} GiB"
    yield "disk", f"{machine.free_disk_bytes / GIB:.1f} GiB free here"
    packages = [f"{name} {version}" for name, version in machine.packages.items() if version]
    yield "packages", ", ".join(packages) or "no back end is installed"


def _jetpack(machine: Machine) -> str:
    if machine.jetpack is None:
        return "of an unknown JetPack"
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
    from edgekd.engines.tensorrt.flavours import RTX

    if backend.name == RTX and backend.version:
        return "nothing to install: it cannot run engines on this machine, but can build them for others (edgekd build)"
    return "nothing to install: it does not run on this kind of machine"
