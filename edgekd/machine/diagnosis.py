"""Everything that decides what runs on this machine, looked at together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgekd.machine.backends import Backend, try_backends, try_cuda
from edgekd.machine.record import Machine, read_machine
from edgekd.progress import Progress, silent


@dataclass(frozen=True)
class Diagnosis:
    """This machine and what runs on it.

    Attributes:
        machine: Its hardware, system and packages.
        cuda: `device`, the first GPU that CUDA reaches, or None; and `why_not`.
        backends: Every back end, tried.
    """

    machine: Machine
    cuda: dict[str, Any]
    backends: list[Backend]

    @property
    def usable(self) -> bool:
        """Whether any back end works here."""
        return any(backend.usable for backend in self.backends)

    def to_dict(self) -> dict[str, Any]:
        """The content of `doctor --json`."""
        return asdict(self)


def diagnose(progress: Progress = silent) -> Diagnosis:
    """Looks at this machine and tries every back end.

    Args:
        progress: Called after each back end was tried.
    """
    machine = read_machine()
    device, why_not = try_cuda()
    return Diagnosis(machine, {"device": device, "why_not": why_not}, try_backends(machine, progress))
