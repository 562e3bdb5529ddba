"""A station whose files others may write: what a required signature refuses, each file made here."""

import json
import os
import shutil
import stat
import subprocess

import pytest

from edgekd.artifact import manifest_path, read_json, read_manifest, write_json, write_manifest
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.runner.inspector import Inspector
from edgekd.signing import REQUIRED_IN, new_key, sign, signed_manifest

from ..run_command import main


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A private key of the firm, its public key, and a public key of somebody else."""
    folder = tmp_path_factory.mktemp("keys")
    return folder / "firm", new_key(folder / "firm"), new_key(folder / "other")


@pytest.fixture
def artifact(exported, tmp_path, keys):
    """A signed copy of an artifact."""
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path)
    sign(tmp_path / exported.name, keys[0])
    return tmp_path / exported.name


def inspect(artifact, image, *words):
    return ["inspect", "--engine", artifact, "--source", image, *words]


def test_a_signed_artifact_is_inspected_and_says_how(exported, good_folder, tmp_path, keys, capsys):
    private, public, _ = keys
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path)
    path, image = tmp_path / exported.name, next(good_folder.iterdir())
    assert main(inspect(path, image, "--require-signature", public)) == 2
    assert f"{path} is not signed, and a signature by {public} is required: sign it with" in capsys.readouterr().err
    assert main(["sign", path, "--key", private]) == 0
    assert f"wrote {path}.sig; inspect with: edgekd inspect --engine {path}" in capsys.readouterr().out
    assert main(inspect(path, image, "--require-signature", public)) == 0
    assert main(inspect(path, image)) == 0  # Nobody is made to require one.


def test_a_threshold_that_somebody_raised_is_refused(artifact, keys):
    manifest = read_json(manifest_path(artifact))
    manifest["threshold"]["value"] *= 100
    write_json(manifest_path(artifact), manifest)
    read_manifest(artifact)  # Its hash is right.
    with pytest.raises(ArtifactError, match=r"is not valid \(the file or its manifest was changed since\)"):
        Inspector(artifact, require_signature=keys[1])


def test_another_detector_with_a_right_hash_is_refused(artifact, keys):
    artifact.write_bytes(artifact.read_bytes() + b"\x0a\x00")
    write_manifest(artifact, read_json(manifest_path(artifact)))
    read_manifest(artifact)
    with pytest.raises(ArtifactError, match="changed since"):
        Inspector(artifact, require_signature=keys[1])


def test_a_signature_by_another_key_or_of_another_artifact_is_refused(artifact, keys, tmp_path):
    private, public, other = keys
    with pytest.raises(ArtifactError, match=f"not by the key of {other}"):
        signed_manifest(artifact, other)
    signed_manifest(artifact, public)
    # Signed by a key of the attacker's own, who names the firm's.
    new_key(tmp_path / "attacker")
    sign(artifact, tmp_path / "attacker")
    forged = read_json(tmp_path / "detector.onnx.sig") | {"public_key": read_public(public, private, artifact)}
    write_json(tmp_path / "detector.onnx.sig", forged)
    with pytest.raises(ArtifactError, match="is not valid"):
        signed_manifest(artifact, public)


def read_public(public, private, artifact):
    sign(artifact, private)
    content = read_json(artifact.with_name(f"{artifact.name}.sig"))["public_key"]
    sign(artifact, artifact.parent / "attacker")
    return content


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"signature": 3}', b'{"signature": "?", "signed": "", "public_key": ""}']
)
def test_a_damaged_signature_is_refused_by_name(artifact, keys, content):
    artifact.with_name(f"{artifact.name}.sig").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"detector\.onnx\.sig"):
        signed_manifest(artifact, keys[1])


@pytest.mark.parametrize("command", ["inspect", "bench"])
def test_the_environment_of_a_station_requires_a_signature_whoever_forgets_it(
    artifact, good_folder, keys, command, monkeypatch, capsys
):
    monkeypatch.setenv(REQUIRED_IN, str(keys[2]))
    words = inspect(artifact, good_folder) if command == "inspect" else ["bench", "--engine", artifact]
    assert main(words) == 2
    assert "is not valid" in capsys.readouterr().err
    with pytest.raises(ArtifactError, match="is not valid"):
        Inspector(artifact)
    monkeypatch.setenv(REQUIRED_IN, str(keys[1]))
    Inspector(artifact).close()
    monkeypatch.setenv(REQUIRED_IN, str(artifact.parent / "gone.pub"))
    with pytest.raises(EdgekdError, match="cannot read the public key"):
        Inspector(artifact)


def test_what_writes_the_manifest_says_that_it_must_be_signed_again(artifact, keys, caplog):
    write_manifest(artifact, read_manifest(artifact) | {"good_scores": None})
    assert f"is not valid any more: sign it again with 'edgekd sign {artifact} --key KEY'" in caplog.text
    with pytest.raises(ArtifactError, match="changed since"):
        signed_manifest(artifact, keys[1])
    sign(artifact, keys[0])
    signed_manifest(artifact, keys[1])


def test_a_file_exchanged_after_the_signature_was_checked_is_not_loaded(artifact, keys, monkeypatch):
    import edgekd.runner.inspector as module

    def exchanged(path, key):
        manifest = signed_manifest(path, key)
        path.write_bytes(path.read_bytes() + b"\x0a\x00")
        return manifest

    monkeypatch.setattr(module, "signed_manifest", exchanged)
    for backend in ("onnxruntime", "openvino"):
        with pytest.raises(ArtifactError, match="changed while it was opened"):
            Inspector(artifact, backend=backend, require_signature=keys[1])
        write_manifest(artifact, read_json(manifest_path(artifact)))
        sign(artifact, keys[0])


def test_keys_are_made_once_and_the_private_one_is_its_owners(tmp_path, capsys):
    assert main(["sign", "--new-key", tmp_path / "k"]) == 0
    assert f"wrote {tmp_path / 'k'}, to be kept secret" in capsys.readouterr().out
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert main(["sign", "--new-key", tmp_path / "k"]) == 2
    assert "exists and is not written over" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "give the artifact and --key FILE"),
        (["ARTIFACT"], "give the artifact and --key FILE"),
        (["ARTIFACT", "--key", "gone"], "cannot read the private key gone"),
        (["ARTIFACT", "--key", "PUBLIC"], "is not a private key in PEM without a password"),
        (["ARTIFACT", "--new-key", "x"], "signs nothing"),
        (["gone.onnx", "--key", "PRIVATE"], "no such artifact: gone.onnx"),
    ],
)
def test_what_cannot_be_signed_is_one_line(artifact, keys, words, complaint, capsys):
    names = {"ARTIFACT": artifact, "PUBLIC": keys[1], "PRIVATE": keys[0]}
    assert main(["sign", *(names.get(word, word) for word in words)]) == 2
    line = capsys.readouterr().err
    assert complaint in line
    assert line.count("\n") == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_keys_of_openssl_serve_and_those_of_another_kind_do_not(artifact, tmp_path):
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    openssl("genpkey", "-algorithm", "ed25519", "-out", "o.pem")
    openssl("pkey", "-in", "o.pem", "-pubout", "-out", "o.pub")
    sign(artifact, tmp_path / "o.pem")
    assert json.loads(json.dumps(signed_manifest(artifact, tmp_path / "o.pub"))) == read_manifest(artifact)
    openssl("genpkey", "-algorithm", "ed448", "-out", "other.pem")
    with pytest.raises(EdgekdError, match="is a key of another kind, Ed25519 is needed"):
        sign(artifact, tmp_path / "other.pem")
