"""Signatures of artifacts (Ed25519): a station refuses a detector that nobody it trusts has signed.

A hash in a manifest shows damage. Whoever may write the files of a station can write another manifest with another
hash, or another threshold; a signature is made with a key that is not on the station.

`x.onnx.sig` holds the signature of one text: the SHA-256 of the file and that of the manifest, so neither can be
exchanged. Keys are PEM files as `openssl genpkey -algorithm ed25519` writes them.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from edgekd.artifact import (
    Manifest,
    manifest_path,
    read_json,
    read_manifest,
    signature_path,
    write_beside,
    write_error,
    write_json,
)
from edgekd.errors import ArtifactError, EdgekdError, missing_package

SIGNATURE_VERSION = 1
REQUIRED_IN = "EDGEKD_REQUIRE_SIGNATURE"  # An environment variable: the file of a public key.
HOW_TO_SIGN = "sign it with 'edgekd sign'"
MOST_KEY_BYTES = 1 << 16


def new_key(path: Path) -> Path:
    """Makes a key pair: the private key in a file that only its owner may read, the public one beside it as .pub.

    Args:
        path: Of the private key.

    Returns:
        The file of the public key.

    Raises:
        EdgekdError: One of the files exists, or cannot be written.
        MachineError: The package cryptography is not installed.
    """
    serialization, ed25519 = _cryptography()
    public = path.with_name(f"{path.name}.pub")
    for file in (path, public):
        if file.exists():
            raise EdgekdError(f"{file} exists and is not written over: give another name")
    key = ed25519.Ed25519PrivateKey.generate()
    private_text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise write_error(path, error) from error
    with open(handle, "wb") as written:
        written.write(private_text)
        written.flush()
        os.fsync(handle)
    with write_beside(public) as part:
        part.write_bytes(public_text)
    return public


def sign(artifact: Path, key: Path) -> Path:
    """Signs an artifact and its manifest.

    Args:
        artifact: An .onnx or .engine file with its manifest beside it.
        key: A private key, PEM.

    Returns:
        The file of the signature, beside the artifact.

    Raises:
        ArtifactError: The artifact is missing, damaged, or not the file that its manifest describes.
        EdgekdError: The key cannot be read or is of another kind.
        MachineError: The package cryptography is not installed.
    """
    serialization, ed25519 = _cryptography()
    private = _load(
        key, lambda data: serialization.load_pem_private_key(data, None), ed25519.Ed25519PrivateKey, "private"
    )
    manifest, text = _manifest_and_text(artifact)
    message = _message(manifest["sha256"], text)
    public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    content = {
        "signature_version": SIGNATURE_VERSION,
        "algorithm": "Ed25519",
        "artifact": artifact.name,
        "signed": message.decode(),
        "public_key": base64.b64encode(public).decode(),
        "signature": base64.b64encode(private.sign(message)).decode(),
    }
    write_json(signature_path(artifact), content)
    return signature_path(artifact)


def signed_manifest(artifact: Path, public_key: Path | None) -> Manifest:
    """Reads an artifact's manifest, and where a signature is required, refuses one that the key does not cover.

    What is returned is what was signed; `edgekd.artifact.checked_content` then reads the file by its hash in it.

    Args:
        artifact: An .onnx or .engine file with its manifest beside it.
        public_key: Of whoever must have signed it; None for nobody.

    Raises:
        ArtifactError: The artifact is missing or damaged, not signed, signed by another key, or changed since.
        EdgekdError: The key cannot be read or is of another kind.
        MachineError: The package cryptography is not installed.
    """
    if public_key is None:
        return read_manifest(artifact)
    serialization, ed25519 = _cryptography()
    public = _load(public_key, serialization.load_pem_public_key, ed25519.Ed25519PublicKey, "public")
    manifest, text = _manifest_and_text(artifact)
    file = signature_path(artifact)
    if not file.is_file():
        raise ArtifactError(f"{artifact} is not signed, and a signature by {public_key} is required: {HOW_TO_SIGN}")
    entry = read_json(file)
    try:
        signature = base64.b64decode(entry["signature"], validate=True)
        signed, signer = str(entry["signed"]), base64.b64decode(entry["public_key"])
    except (TypeError, KeyError, ValueError) as error:
        raise ArtifactError(f"{file} is damaged: {HOW_TO_SIGN}") from error
    if not _is_valid(public, signature, _message(manifest["sha256"], text)):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        changed = signer == raw and _is_valid(public, signature, signed.encode(errors="replace"))
        why = "the file or its manifest was changed since" if changed else f"not by the key of {public_key}"
        raise ArtifactError(f"the signature of {artifact} is not valid ({why}): {HOW_TO_SIGN}")
    return manifest


def required_key(given: str | Path | None) -> Path | None:
    """The public key that signatures are required of: the one given, or that of $EDGEKD_REQUIRE_SIGNATURE."""
    named = given or os.environ.get(REQUIRED_IN) or None
    return None if named is None else Path(named)


def _manifest_and_text(artifact: Path) -> tuple[Manifest, bytes]:
    """An artifact's manifest, and the very bytes that it was read from."""
    manifest = read_manifest(artifact)
    path = manifest_path(artifact)
    text = path.read_bytes()
    with contextlib.suppress(ValueError):
        if json.loads(text) == manifest:
            return manifest, text
    raise ArtifactError(f"{path} changed while it was read: run the command again")


def _message(file_digest: str, manifest: bytes) -> bytes:
    """What is signed."""
    return f"edgekd artifact {SIGNATURE_VERSION}\n{file_digest}\n{hashlib.sha256(manifest).hexdigest()}\n".encode()


def _is_valid(public: Any, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _load(path: Path, load: Any, kind: Any, which: str) -> Any:
    """A key from a PEM file."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_KEY_BYTES)
    except OSError as error:
        raise EdgekdError(
            f"cannot read the {which} key {path}: {error.strerror or error}; 'edgekd sign --new-key FILE' makes a pair"
        ) from error
    try:
        key = load(data)
    except Exception as error:  # The library has many reasons, of which encryption is the likely one.
        raise EdgekdError(
            f"{path} is not a {which} key in PEM without a password: make a pair with 'edgekd sign --new-key FILE'"
        ) from error
    if not isinstance(key, kind):
        raise EdgekdError(f"{path} is a key of another kind, Ed25519 is needed: 'edgekd sign --new-key FILE' makes one")
    return key


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise missing_package("cryptography", "signatures") from error
    return serialization, ed25519
