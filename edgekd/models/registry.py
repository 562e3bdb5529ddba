"""The systems there are, what each is built from, and the papers' rows that each is counted against."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from edgekd.errors import unknown_name
from edgekd.models.counting import Count, count
from edgekd.models.detector import Detector
from edgekd.models.hkt import HKT


class PaperRow(NamedTuple):
    """A row of a paper's table of sizes, and the network that it describes.

    Attributes:
        table: Where it stands.
        row: What it is called there.
        parameters_m, gflops: As printed.
        switches: The system's arguments that make this network.
    """

    table: str
    row: str
    parameters_m: float
    gflops: float
    switches: dict[str, Any]


class System(NamedTuple):
    """One of the papers' systems.

    Attributes:
        name: On the command line and in manifests.
        title: In tables.
        build: Makes the detector of the paper, untrained; its keyword arguments are the ablation switches, and
            `teacher` where a backbone shall teach.
        network: What the paper's teacher is, and its student's convolutions.
        teacher: The teacher that training takes when none is named.
        paper: Where it was published.
        flops_convention: What the paper's GFLOPs are.
        rows: The paper's tables of sizes.
    """

    name: str
    title: str
    build: Callable[..., Detector]
    network: str
    teacher: str
    paper: str
    flops_convention: str
    rows: tuple[PaperRow, ...]


HKT_CONVENTION = "MACs as thop counts them, student alone with CBAM and projectors, truncated to two decimals"
HKT_PAPER = "HKT, J. Imaging 2025"
# Better than the PDN teachers that ship, on every set it was measured on, at a fraction of their cost: see benchmarks.
DEFAULT_TEACHER = "efficientnet_lite1"

SYSTEMS = {
    system.name: system
    for system in (
        System(
            "hkt",
            "HKT",
            partial(HKT, student="pdn_small"),
            "pdn_small",
            DEFAULT_TEACHER,
            HKT_PAPER,
            HKT_CONVENTION,
            (
                PaperRow("4", "HKT", 2.85, 20.31, {}),
                PaperRow("5", "HKT without CBAM, LP", 2.69, 15.31, {"cbam": False, "projectors": False}),
            ),
        ),
        System(
            "hkt_plus",
            "HKT+",
            partial(HKT, student="pdn_medium"),
            "pdn_medium",
            DEFAULT_TEACHER,
            HKT_PAPER,
            HKT_CONVENTION,
            (
                PaperRow("4, 6", "HKT+", 8.52, 63.21, {}),
                PaperRow("5, 6", "HKT+ without CBAM, LP", 8.02, 52.03, {"cbam": False, "projectors": False}),
                PaperRow("6", "HKT+ with CBAM alone", 8.08, 52.07, {"projectors": False}),
                PaperRow("6", "HKT+ with LP alone", 8.47, 63.18, {"cbam": False}),
            ),
        ),
    )
}


def find_system(name: str) -> System:
    """The system of a name.

    Raises:
        EdgekdError: There is none; the error names the nearest.
    """
    if name not in SYSTEMS:
        raise unknown_name("system", name, SYSTEMS)
    return SYSTEMS[name]


def describe_systems(size: int = 256) -> list[dict[str, Any]]:
    """Parameters and MACs of every system by part, beside its paper's figures, counted from the real modules.

    Args:
        size: The picture's side, in pixels; the papers' is 256.

    Returns:
        One entry a system: `system`, `parts` (teacher, student and deployed as in the paper, and deployed with the
        default teacher: `parameters`, `macs`) and `paper`.
    """
    return [_describe(system, size) for system in SYSTEMS.values()]


def _describe(system: System, size: int) -> dict[str, Any]:
    detector = system.build()
    parts = {
        "teacher": count(detector.teacher, size),
        "student": count(detector.learning(), size),
        "deployed": count(detector.deployed(), size),
        f"deployed with {system.teacher}": count(system.build(teacher=system.teacher).deployed(), size),
    }
    return {
        "system": system.name,
        "title": system.title,
        "size": size,
        "parts": {name: {"parameters": part.parameters, "macs": part.macs} for name, part in parts.items()},
        "paper": {
            "source": system.paper,
            "flops_convention": system.flops_convention,
            "rows": [_paper_row(system, row, size) for row in system.rows],
        },
    }


def _paper_row(system: System, row: PaperRow, size: int) -> dict[str, Any]:
    ours: Count = count(system.build(**row.switches).learning(), size)
    return {
        "table": row.table,
        "row": row.row,
        "paper_parameters_m": row.parameters_m,
        "paper_gflops": row.gflops,
        "parameters": ours.parameters,
        "macs": ours.macs,
        "thop_macs": ours.thop_macs,
        "gflops": ours.thop_macs // 10**7 / 100,
    }
