"""Teachers by name: those that ship, those in packages, those in the user's store; and those in a file."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from edgekd.artifact import sha256
from edgekd.errors import ArtifactError, EdgekdError, unknown_name
from edgekd.models.backbones.pdn import PDN_LAYERS
from edgekd.models.backbones.registry import BACKBONE_NAMES
from edgekd.training.teachers.backbone_weights import backbone_weights, load_backbone
from edgekd.training.teachers.cards import read_card
from edgekd.training.teachers.catalogue import CATALOGUE, CatalogueEntry
from edgekd.training.teachers.files import SHIPPED, is_stored, shipped_teachers, stored_file
from edgekd.training.teachers.store import empty_network, read_stored
from edgekd.training.weight_files import (
    WEIGHT_SUFFIXES,
    WeightFile,
    check_shapes,
    open_weights,
    put_weights,
    read_weights,
)


class Teacher(NamedTuple):
    """A teacher's weights and where they come from.

    Attributes:
        name: In the catalogue, or the file's path.
        state: Its state dict, float32.
        sha256: Of its file.
        provenance: What is known of how it was made.
        network: What the weights go into: a backbone or a PDN.
    """

    name: str
    state: dict[str, Tensor]
    sha256: str
    provenance: dict[str, Any]
    network: str


def load_teacher(name: str) -> Teacher:
    """Finds a teacher by name or file.

    Args:
        name: In the catalogue, or a .safetensors, .pth or .pt file that holds a PDN's state dict.

    Raises:
        EdgekdError: There is no such teacher, or its weights are not here.
        ArtifactError: The file is damaged, or is not a state dict.
        MachineError: The backbone's package is not installed.
    """
    if name in BACKBONE_NAMES:
        state = load_backbone(name).state_dict()
        return Teacher(name, state, sha256(backbone_weights(name)), _backbone_card(CATALOGUE[name]), name)
    if name in shipped_teachers():
        path = SHIPPED / f"{name}.safetensors"
        return Teacher(name, read_weights(path), sha256(path), read_card(path.with_suffix(".json")), name)
    if name in CATALOGUE and is_stored(name):  # Another name could lead out of the store.
        state, card = read_stored(name)
        return Teacher(name, state, sha256(stored_file(name)), card, CATALOGUE[name].network)
    if name in CATALOGUE:
        raise EdgekdError(
            f"the weights of {name} are not here: 'edgekd teachers fetch {name}' downloads "
            f"{CATALOGUE[name].megabytes:.0f} MB, or name another teacher"
        )
    path = Path(name)
    if path.suffix not in WEIGHT_SUFFIXES:
        raise unknown_name("teacher", name, CATALOGUE)
    if not path.is_file():
        raise EdgekdError(f"no such teacher file: {path}")
    beside = path.with_suffix(".json")
    provenance = read_card(beside) if beside.is_file() else {"file": path.name, "made_from": "not known: a user's file"}
    weights = open_weights(path)
    network = _pdn_of(weights)
    check_shapes(empty_network(network), weights.shapes, str(path), network)
    return Teacher(str(path), weights.tensors(), weights.sha256, provenance, network)


def put_pretrained(network: nn.Module, teacher: Teacher) -> None:
    """Gives a network a teacher's weights.

    Args:
        network: Of the teacher's kind; of a backbone it may lack what lies behind the maps that are used.
        teacher: The weights.

    Raises:
        ArtifactError: They do not fit.
    """
    state = teacher.state
    if teacher.network in BACKBONE_NAMES:
        state = {key: value for key, value in state.items() if key in network.state_dict()}
    put_weights(network, state, teacher.name, teacher.network)


def _pdn_of(weights: WeightFile) -> str:
    """The PDN that a file's weights are of, by the width of its first layer."""
    widths = {stages[0].outputs: name for name, stages in PDN_LAYERS.items()}
    first = weights.shapes.get("0.weight", ())
    if len(first) != 4 or first[0] not in widths:
        raise ArtifactError(
            f"{weights.path} does not hold a PDN; import the file of a backbone with 'edgekd teachers import'"
        )
    return widths[first[0]]


def _backbone_card(entry: CatalogueEntry) -> dict[str, Any]:
    """Where a backbone's weights come from."""
    if is_stored(entry.name):
        return read_card(stored_file(entry.name).with_suffix(".json"))
    assert entry.package is not None
    weights = f"{entry.package} {version(entry.package)}"
    return {"network": entry.network, "paper": entry.paper, "licence": entry.licence, "weights": weights}
