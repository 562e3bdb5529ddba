"""The contract of what an engine takes and returns: names, types and shapes, as a file or a back end reports them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import ArtifactError

UINT8, FLOAT32 = "uint8", "float32"
FRAMES, SCORE, ANOMALY_MAP = "frames", "score", "anomaly_map"


class Tensor(NamedTuple):
    """An input or an output.

    Attributes:
        name: In the graph.
        dtype: Such as "uint8".
        shape: Of it; None for a side that is free.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        return f"{self.name} {self.dtype} [{sides}]"


def refuse_other_tensors(
    path: Path, frames: tuple[int | None, int, int], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> None:
    """Refuses an artifact whose inputs and outputs are not those that its manifest and the contract have.

    Args:
        path: The artifact.
        frames: Batch (None where it is free), height and width, as the manifest has them.
        inputs, outputs: As the file or the back end reports them, in any order.

    Raises:
        ArtifactError: A name, type or shape is another one.
    """
    batch, height, width = frames
    wanted = {
        "takes": [Tensor(FRAMES, UINT8, (batch, height, width, 3))],
        "returns": [Tensor(ANOMALY_MAP, FLOAT32, (batch, height, width)), Tensor(SCORE, FLOAT32, (batch,))],
    }
    for verb, found in (("takes", inputs), ("returns", outputs)):
        found = sorted(found, key=lambda tensor: tensor.name)
        if found != wanted[verb]:
            raise ArtifactError(f"{path} {verb} {_listed(found)} instead of {_listed(wanted[verb])}: export it again")


def _listed(tensors: Sequence[Tensor]) -> str:
    return " and ".join(str(tensor) for tensor in tensors[:4]) or "nothing"
