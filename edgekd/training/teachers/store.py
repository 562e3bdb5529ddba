"""The user's own teachers: files imported once, checked, and kept as safetensors with a card beside each."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.artifact import sha256, write_json
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.models.backbones.pdn import pdn
from edgekd.models.backbones.registry import BACKBONE_NAMES, build_backbone
from edgekd.training.teachers.cards import read_card
from edgekd.training.teachers.catalogue import CATALOGUE, CatalogueEntry, find_entry
from edgekd.training.teachers.files import stored_file
from edgekd.training.weight_files import check_shapes, check_weights, open_weights, write_weights

# torchvision names its files so: the network, then the first digits of the file's SHA-256.
PUBLISHED_NAME = re.compile(r"(?P<network>[\w-]+)-(?P<digest>[0-9a-f]{8,64})\.pth")


def import_teacher(file: Path, name: str | None = None) -> Path:
    """Checks a published file of weights and keeps it in the store.

    Args:
        file: A state dict in torch's format or as safetensors; nothing in it is executed or inflated.
        name: Of the teacher in the catalogue; None finds it from the file's name.

    Returns:
        The file in the store; its card stands beside it.

    Raises:
        EdgekdError: There is no such file, or its name does not identify a teacher.
        ArtifactError: Its hash is not the one in its name, or it is damaged, or it does not fit its network.
    """
    if not file.is_file():
        raise EdgekdError(f"no such file: {file}")
    entry = find_entry(name) if name else _entry_of(file)
    if entry.url is None and entry.package is None:
        raise EdgekdError(f"{entry.name} ships with edgekd and is not replaced: use --teacher {file}")
    network = empty_network(entry.network)
    weights = open_weights(file, network)
    verify_name(file, weights.sha256)
    check_shapes(network, weights.shapes, file.name, entry.network)
    state = weights.tensors()
    check_weights(network, state, file.name, entry.network)
    kept = stored_file(entry.name)
    write_weights(kept, state)
    card = {
        "teacher": entry.name,
        "network": entry.network,
        "paper": entry.paper,
        "licence": entry.licence,
        "imported_from": file.name,
        "imported_sha256": weights.sha256,
        "hash_checked": names_its_hash(file),
        "sha256": sha256(kept),
    }
    write_json(kept.with_suffix(".json"), card)
    return kept


def read_stored(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights and the card of an imported teacher.

    Raises:
        ArtifactError: The file is not the one that its card was written for.
    """
    kept = stored_file(name)
    card = read_card(kept.with_suffix(".json"))
    content = kept.read_bytes()
    if hashlib.sha256(content).hexdigest() != card.get("sha256"):
        raise ArtifactError(f"{kept} was changed since it was imported: import it again with 'edgekd teachers import'")
    return open_weights(kept, content=content).tensors(), card


def names_its_hash(file: Path) -> bool:
    """Whether a file's name holds the first digits of its publisher's SHA-256."""
    return PUBLISHED_NAME.fullmatch(file.name) is not None


def verify_name(file: Path, digest: str) -> None:
    """Checks the SHA-256 of a file against the digits in its name, where it has such.

    Args:
        file: The file.
        digest: Its SHA-256.

    Raises:
        ArtifactError: They differ.
    """
    published = PUBLISHED_NAME.fullmatch(file.name)
    if published and not digest.startswith(published["digest"]):
        raise ArtifactError(
            f"{file} is damaged or was changed: its SHA-256 begins with {digest[:8]}, "
            f"that in its name with {published['digest']}; download it again"
        )


def empty_network(network: str) -> nn.Module:
    """A network without values, to check names and shapes against."""
    with torch.device("meta"):
        return build_backbone(network) if network in BACKBONE_NAMES else pdn(network)


def _entry_of(file: Path) -> CatalogueEntry:
    """The catalogue's entry that a file's name stands for."""
    for entry in CATALOGUE.values():
        if entry.file_name == file.name:
            return entry
    published = PUBLISHED_NAME.fullmatch(file.name)
    if published and (network := published["network"].replace("-", "_")) in CATALOGUE:
        return CATALOGUE[network]
    raise EdgekdError(f"{file.name} does not identify a teacher: add --name, one of {', '.join(CATALOGUE)}")
