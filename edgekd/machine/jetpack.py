"""NVIDIA's JetPack releases: what L4T, the system of a Jetson, comes with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LEAST_TENSORRT = (10, 3)


@dataclass(frozen=True)
class JetPack:
    """A release.

    Attributes:
        l4t: The L4T release, such as "36.4.3".
        release: The JetPack release, such as "6.2".
        cuda: The version of CUDA that comes with it.
        tensorrt: The version of TensorRT that comes with it.
        python: The version of the system's Python, the one that TensorRT is packaged for.
    """

    l4t: str
    release: str
    cuda: str
    tensorrt: str
    python: str

    @property
    def is_supported(self) -> bool:
        """Whether its TensorRT can read what edgekd exports."""
        return tuple(int(part) for part in self.tensorrt.split(".")[:2]) >= LEAST_TENSORRT


# JetPack 5 is listed to be named and refused. For a revision that is not listed yet, the nearest older one of its line
# is taken.
RELEASES = (
    JetPack("35.1.0", "5.0.2", "11.4", "8.4", "3.8"),
    JetPack("35.2.1", "5.1", "11.4", "8.5", "3.8"),
    JetPack("35.3.1", "5.1.1", "11.4", "8.5", "3.8"),
    JetPack("35.4.1", "5.1.2", "11.4", "8.5", "3.8"),
    JetPack("35.5.0", "5.1.3", "11.4", "8.5", "3.8"),
    JetPack("35.6.0", "5.1.4", "11.4", "8.5", "3.8"),
    JetPack("35.6.1", "5.1.5", "11.4", "8.5", "3.8"),
    JetPack("36.3.0", "6.0", "12.2", "8.6", "3.10"),
    JetPack("36.4.0", "6.1", "12.6", "10.3", "3.10"),
    JetPack("36.4.3", "6.2", "12.6", "10.3", "3.10"),
    JetPack("36.4.4", "6.2.1", "12.6", "10.3", "3.10"),
    JetPack("36.5.0", "6.2.2", "12.6", "10.3", "3.10"),
    JetPack("38.2.0", "7.0", "13.0", "10.13", "3.12"),
    JetPack("38.4.0", "7.1", "13.0", "10.13", "3.12"),
    JetPack("39.2.0", "7.2", "13.2", "10.16", "3.12"),
    JetPack("39.2.1", "7.2.1", "13.2", "10.16", "3.12"),
    # NVIDIA's notes of TensorRT 11.4.1 name JetPack 7.2.2 as the first that supports it, by a package for SBSA;
    # 7.2.2 itself is assumed to come with what 7.2.1 does, and with the next revision of L4T.
    JetPack("39.2.2", "7.2.2", "13.2", "10.16", "3.12"),
)


def read_l4t(etc: Path = Path("/etc")) -> str | None:
    """The L4T release, such as "36.4.3".

    Args:
        etc: The folder of nv_tegra_release.

    Returns:
        None where this is not a Jetson.
    """
    try:
        first = (etc / "nv_tegra_release").read_text(errors="replace").partition("\n")[0]
    except OSError:
        return None
    found = re.match(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", first)
    return f"{found[1]}.{found[2]}" if found else None


def find_jetpack(l4t: str) -> JetPack | None:
    """The JetPack release of an L4T release, or of the nearest older one of its line.

    Args:
        l4t: Such as "36.4.3".

    Returns:
        None for an unknown line.
    """
    number = _number(l4t)
    older = [known for known in RELEASES if _number(known.l4t)[0] == number[0] and _number(known.l4t) <= number]
    return max(older, key=lambda known: _number(known.l4t), default=None)


def _number(l4t: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in l4t.split("."))
    return parts + (0,) * (3 - len(parts))
