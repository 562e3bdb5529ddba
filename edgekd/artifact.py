"""Artifacts: a file and its manifest, and how files are written so that none is ever incomplete.

`x.onnx` has `x.json` beside it. The manifest records what the file is, what it was made from, and its SHA-256;
a loader checks the hash before it parses the file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekd.errors import ArtifactError, EdgekdError, MachineError, shown
from edgekd.json_files import read_json as read_json
from edgekd.manifest import MANIFEST
from edgekd.precisions import PRECISIONS
from edgekd.run_folder import DETECTOR_FILE, artifact_name
from edgekd.typed import checked

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1  # The first; with the second, this one is still read.
MOST_MANIFEST_BYTES, MOST_MANIFEST_VALUES = 8 << 20, 50_000

Manifest = dict[str, Any]


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def write_beside(path: Path, durable: bool = True) -> Iterator[Path]:
    """Writes a file completely or not at all: yields a temporary name beside it, which is renamed after the block.

    Args:
        path: The file to write; its folder is made.
        durable: Whether file and folder reach the disk before it returns, so that what was written outlasts a power
            cut. It costs a few milliseconds: too much for an image a frame.

    Raises:
        EdgekdError: It cannot be written there.
        MachineError: The disk is full.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if durable:
            _sync_file(part)
        os.replace(part, path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _sync_file(path: Path) -> None:
    """Waits until a file's content is on the disk: a rename may get there first, and leave an empty file."""
    with path.open("r+b") as file:  # Windows syncs what is open for writing only.
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Waits until a folder's names are on the disk, where the system can: Windows opens no folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_error(path: Path, error: OSError) -> EdgekdError:
    """The error for a failed write: a full disk, or a file that cannot be written there."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"no room left on the disk for {path}: free some and run the same command again")
    return EdgekdError(f"cannot write {path}: {error.strerror or error}")


def require_writable(path: Path | None) -> None:
    """Refuses a path that cannot be written, before the work whose results go there.

    Args:
        path: Of a file; None and "-", for standard output, are fine.

    Raises:
        EdgekdError: It is a folder, or its folder cannot be written or made.
    """
    if path is None or path == Path("-"):
        return
    if path.is_dir():
        raise EdgekdError(f"cannot write {path}: it is a folder, give the name of a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise EdgekdError(f"cannot write {path}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EdgekdError(f"cannot write {path}: no permission to write into {folder}")


def require_other_file(path: Path, artifact: Path) -> None:
    """Refuses to write over an artifact or its manifest.

    Args:
        path: The file that shall be written.
        artifact: The artifact that is being used.

    Raises:
        EdgekdError: They are the same file.
    """
    if path.resolve() in (artifact.resolve(), manifest_path(artifact).resolve()):
        raise EdgekdError(f"{path} belongs to the artifact that is measured: give another name")


def write_json(path: Path, content: object) -> None:
    """Writes JSON for people and programs, completely or not at all."""
    with write_beside(path) as part:
        part.write_text(json_text(content), encoding="utf-8")


def json_text(content: object) -> str:
    """JSON as `write_json` writes it."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def manifest_path(artifact: Path) -> Path:
    """The path of an artifact's manifest: beside it, ending in .json."""
    return artifact.with_suffix(".json")


def signature_path(artifact: Path) -> Path:
    """The path of an artifact's signature, which `edgekd sign` writes: beside it, ending in .sig."""
    return artifact.with_name(f"{artifact.name}.sig")


def write_manifest(artifact: Path, manifest: Manifest) -> None:
    """Writes an artifact's manifest, and adds the format version and the file's hash."""
    content = {"format_version": FORMAT_VERSION, **manifest, "file": artifact.name, "sha256": sha256(artifact)}
    write_json(manifest_path(artifact), content)
    if signature_path(artifact).exists():
        sign = f"edgekd sign {shlex.quote(str(artifact))} --key KEY"
        logger.warning("the signature of %s is not valid any more: sign it again with '%s'", artifact, sign)


def checked_content(artifact: Path, manifest: Mapping[str, Any]) -> bytes:
    """The bytes of an artifact, read once and checked against its manifest: what a back end is to load.

    A back end that opened the file by its name could get another one than was checked, or files beside it.

    Args:
        artifact: The .onnx or .engine file.
        manifest: Its manifest.

    Raises:
        ArtifactError: The file is gone or not the one that the manifest describes.
    """
    try:
        content = artifact.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {artifact}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
        raise ArtifactError(
            f"{artifact} changed while it was opened and is not the file that its manifest describes: make it again"
        )
    return content


def require_current(artifact: Path, manifest: Manifest, run: Path) -> None:
    """Refuses an artifact that was made from other files than its run holds now, as after more training.

    Args:
        artifact: The artifact, for messages.
        manifest: Its manifest; `made_from` has the hashes.
        run: The folder of the run.

    Raises:
        ArtifactError: A file of the run has changed since.
    """
    for name, digest in manifest.get("made_from", {}).items():
        if isinstance(digest, str) and (run / name).is_file() and sha256(run / name) != digest:
            raise ArtifactError(
                f"{artifact} was made of another {name} than {run} holds now: export it again, or delete it"
            )


def find_artifact(path: Path) -> Path:
    """The artifact that a path means: the file itself, or that of a run.

    Args:
        path: An artifact, or the folder of a run that was exported. Of a run it is detector.onnx, else the only one in
            another precision.

    Raises:
        ArtifactError: The run was not exported, holds several artifacts and none in float32, or was trained on since.
    """
    if not path.is_dir():
        return path
    names = [artifact_name(DETECTOR_FILE, precision) for precision in PRECISIONS]
    found = [path / name for name in names if (path / name).is_file()]
    if not found:
        raise ArtifactError(f"{path} holds no {DETECTOR_FILE}: make one with edgekd export {shlex.quote(str(path))}")
    if len(found) > 1 and found[0].name != DETECTOR_FILE:
        raise ArtifactError(f"{path} holds {' and '.join(each.name for each in found)}: name one of them")
    require_current(found[0], read_manifest(found[0]), path)
    return found[0]


def read_manifest(artifact: Path) -> Manifest:
    """Reads an artifact's manifest and checks the file against it, before anything parses the file.

    Args:
        artifact: The .onnx or .engine file.

    Returns:
        The manifest's content, each entry as `edgekd.manifest.ArtifactManifest` has it.

    Raises:
        ArtifactError: The file or its manifest is missing, of another format version or damaged, or the hash differs.
    """
    manifest = manifest_beside(artifact)
    if manifest["sha256"] != sha256(artifact):
        raise ArtifactError(
            f"{artifact} is not the file {manifest_path(artifact).name} describes (its SHA-256 differs): "
            f"{_remedy(manifest)}"
        )
    return manifest


def manifest_beside(artifact: Path) -> Manifest:
    """Reads the manifest of an artifact that is there, and leaves checking the file, which takes long, to its loader.

    Args:
        artifact: The .onnx or .engine file.

    Raises:
        ArtifactError: The file or its manifest is missing, or the manifest of another format version or damaged.
    """
    if not artifact.is_file():
        raise ArtifactError(f"no such artifact: {artifact}: edgekd export makes .onnx files, edgekd build .engine")
    path = manifest_path(artifact)
    if not path.is_file():
        raise ArtifactError(f"{artifact} has no manifest: {path.name} must be beside it")
    return read_entries(path)


def read_entries(path: Path) -> Manifest:
    """Reads a manifest by itself, whatever the artifact beside it.

    Args:
        path: The .json file.

    Raises:
        ArtifactError: It is missing, not a manifest, of another format version, or an entry is missing or wrong.
    """
    content = read_json(path, MOST_MANIFEST_BYTES, MOST_MANIFEST_VALUES)
    if not isinstance(content, dict) or not content.keys() & {"format_version", "sha256"}:
        raise ArtifactError(f"{path} is not a manifest: name an .onnx or .engine file that edgekd wrote")
    _require_version(content.get("format_version"), path)
    checked(MANIFEST, content, path, _remedy(content))
    return content


def _require_version(version: object, path: Path) -> None:
    if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has format version {version}, and this edgekd reads version {FORMAT_VERSION}: update edgekd"
        )
    if version != FORMAT_VERSION or not isinstance(version, int) or isinstance(version, bool):
        what = "no format version" if version is None else f"format version {shown(str(version))}"
        raise ArtifactError(
            f"{path} has {what}, and this edgekd reads version {FORMAT_VERSION}: export the run again, or build the "
            "engine again"
        )


def _remedy(manifest: Mapping[str, Any]) -> str:
    """How an artifact is made again: by the command that its manifest records, where it is one of edgekd's."""
    engine = manifest.get("engine")
    command = engine.get("command") if isinstance(engine, dict) else None
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        words = []
    is_ours = words[:2] == ["edgekd", "build"]
    return f"build it again with {shlex.join(words)}" if is_ours else "export the run again"


def frame_shape(manifest: Mapping[str, Any]) -> tuple[int | None, int, int]:
    """Batch (None where it is free), height and width of the frames that a manifest's graph takes.

    Raises:
        ArtifactError: The manifest does not hold them.
    """
    try:
        batch, height, width, _ = manifest["inputs"]["frames"]["shape"]
        return (batch if isinstance(batch, int) else None), int(height), int(width)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"the manifest lacks the shape of the graph's frames ({error}): export again") from error
