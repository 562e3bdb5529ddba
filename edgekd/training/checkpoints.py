"""Checkpoints of a training: what it is resumed from, with a hash, and with whom it belongs to.

A file is a line that names the format, a line of JSON, and what torch.save wrote of the weights and the optimizer's
state. Files of before there were these lines hold the latter alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.artifact import write_beside
from edgekd.data.image_hashes import hashes_digest
from edgekd.errors import ArtifactError, one_line
from edgekd.recipe import TrainingRecipe

FORMAT = b"edgekd checkpoint 1\n"
# What of a recipe decides the weights and stays as it is while a run is resumed.
FIXED = ("system", "teachers", "size", "batch", "learning_rate", "weight_decay", "schedule", "seed", "settings")


def owner_of(recipe: TrainingRecipe, stage: str) -> str:
    """What the checkpoints of a stage of a run belong to: the same for runs of the same recipe and images.

    Returns:
        A SHA-256; empty for a run of before there were hashes of images, whose checkpoints are not compared.
    """
    changes = recipe.data_changes
    images = changes[0]["images_before"] if changes else hashes_digest(recipe.images) if recipe.images else None
    if images is None:
        return ""
    fixed = [stage, images, *(getattr(recipe, name) for name in FIXED)]
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def save_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, iteration: int, owner: str = ""
) -> None:
    """Saves the weights, the optimizer's state and how many iterations they have seen.

    Args:
        path: The file.
        module: That is trained.
        optimizer: Of its parameters.
        iteration: Iterations done.
        owner: Of `owner_of`; empty for none.
    """
    content = {"iteration": iteration, "module": module.state_dict(), "optimizer": optimizer.state_dict()}
    buffer = io.BytesIO()  # torch's own file writer hides a full disk behind errors of its own.
    torch.save(content, buffer)
    with write_beside(path) as part, part.open("wb") as file:
        header = {"sha256": _digest(owner, buffer.getbuffer()), "owner": owner}
        file.write(FORMAT + json.dumps(header).encode() + b"\n")
        file.write(buffer.getbuffer())


def iterations_done(checkpoint: Path) -> int:
    """The iterations that a checkpoint has seen; 0 where there is none.

    Raises:
        ArtifactError: It is damaged.
    """
    return int(read_checkpoint(checkpoint, device="meta")["iteration"]) if checkpoint.exists() else 0


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, owner: str = "") -> int:
    """Puts a checkpoint back.

    Args:
        path: The file.
        module, optimizer: As it was saved.
        owner: Of `owner_of`, which the checkpoint must have been saved with; empty for any.

    Returns:
        The iterations done when it was saved.

    Raises:
        ArtifactError: It is damaged or belongs to another network or run.
    """
    content = read_checkpoint(path, owner)
    try:
        module.load_state_dict(content["module"])
        optimizer.load_state_dict(content["optimizer"])
        return int(content["iteration"])
    except Exception as error:  # Another network fails in torch in many ways; the remedy is the same.
        raise _cannot_resume(path, one_line(error)) from error


def read_checkpoint(path: Path, owner: str = "", device: str = "cpu") -> Any:
    """What a checkpoint holds, once the hash over those bytes was compared: `iteration`, `module` and `optimizer`.

    Args:
        path: The file.
        owner: As `load_checkpoint` takes it.
        device: Where tensors go; "meta" for none.

    Raises:
        ArtifactError: It is damaged or belongs to another run.
    """
    try:
        content = path.read_bytes()
        saved: bytes | memoryview = content
        if content.startswith(FORMAT):
            end = content.index(b"\n", len(FORMAT))
            header, saved = json.loads(content[len(FORMAT) : end]), memoryview(content)[end + 1 :]
            if header["sha256"] != _digest(header["owner"], saved):
                raise ArtifactError("it is damaged, its SHA-256 differs")
            if owner and header["owner"] != owner:
                raise ArtifactError("it is the checkpoint of another run or stage, or of other images")
        elif owner:
            raise ArtifactError("it has no SHA-256, and this run writes it")
        _require_alignment(saved)
        return torch.load(io.BytesIO(saved), weights_only=True, map_location=device)
    except Exception as error:  # A damaged file fails in torch in many ways; the remedy is the same.
        raise _cannot_resume(path, one_line(error)) from error


def _require_alignment(saved: bytes | memoryview) -> None:
    """Refuses what older versions saved, without a hash, where the tensors' alignment is damaged: torch divides by it.

    Raises:
        ArtifactError: It is.
    """
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        for name in archive.namelist():
            if name.endswith("/.storage_alignment") and not archive.read(name)[:20].strip(b"0").isdigit():
                raise ArtifactError("it is damaged, its tensors' alignment is no positive number")


def _digest(owner: str, saved: bytes | memoryview) -> str:
    digest = hashlib.sha256(owner.encode())
    digest.update(saved)
    return digest.hexdigest()


def _cannot_resume(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(
        f"cannot resume from {path} ({reason}): put its own back, or remove it to start that stage over"
    )
