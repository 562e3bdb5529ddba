import errno
import hashlib
import json
import os
import stat

import pytest

from edgekd.artifact import FORMAT_VERSION, read_json, read_manifest, sha256, write_beside, write_json, write_manifest
from edgekd.errors import ArtifactError, EdgekdError, MachineError

CONTENT = {
    "system": "hkt",
    "precision": "fp32",
    "inputs": {"frames": {"dtype": "uint8", "shape": ["batch", 64, 96, 3]}},
    "outputs": {
        "score": {"dtype": "float32", "shape": ["batch"]},
        "anomaly_map": {"dtype": "float32", "shape": ["batch", 64, 96]},
    },
    "macs": 7,
    "made_from": {"seed": 0, "settings": {}},
}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "x.txt"
    with write_beside(path) as part:
        part.write_text("new")
        assert part.parent == path.parent
        assert part.suffix == path.suffix
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["x.txt"]


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), EdgekdError("no")])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write():
        with write_beside(path) as part:
            part.write_text("half")
            raise failure

    with pytest.raises(type(failure)) as caught:
        write()
    assert caught.value is failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_the_machines_fault_and_keeps_the_old_file(tmp_path, code):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write():
        with write_beside(path) as part:
            part.write_text("half")
            raise OSError(code, os.strerror(code))

    with pytest.raises(MachineError, match=r"no room left on the disk for .*: free some") as caught:
        write()
    assert caught.value.exit_code == 3
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's always full device")
def test_a_write_that_truly_meets_a_full_disk_is_told_as_one(tmp_path):
    def write():
        with write_beside(tmp_path / "x.txt") as part:
            part.symlink_to("/dev/full")
            part.write_text("anything")

    with pytest.raises(MachineError, match="no room left"):
        write()
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_the_users_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="cannot write") as caught, write_beside(tmp_path / "file" / "x.txt"):
        pass
    assert caught.value.exit_code == 2


def test_json_goes_round_and_what_is_no_number_is_not_written(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": [1, 2.5, None, "ü"]})
    assert read_json(path) == {"a": [1, 2.5, None, "ü"]}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": [1, 2.5, None, "ü"]}
    assert names(tmp_path) == ["x.json"]


def test_json_that_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"cannot read .*gone\.json: No such file"):
        read_json(tmp_path / "gone.json")
    for content in (b"{", b"\xff\xfe", b""):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(ArtifactError, match=r"x\.json is not valid JSON"):
            read_json(tmp_path / "x.json")


@pytest.mark.parametrize("size", [0, 5, (1 << 20) + 1])
def test_sha256_is_that_of_the_whole_file(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"a graph")
    write_manifest(path, CONTENT)
    return path


def test_a_manifest_names_its_file_hash_and_format(artifact):
    digest = hashlib.sha256(b"a graph").hexdigest()
    expected = {"format_version": FORMAT_VERSION, **CONTENT, "file": "x.onnx", "sha256": digest}
    assert read_manifest(artifact) == expected


def test_writing_a_manifest_again_takes_the_hash_anew(artifact):
    manifest = read_manifest(artifact)
    artifact.write_bytes(b"another graph")
    write_manifest(artifact, manifest)
    assert read_manifest(artifact)["sha256"] == hashlib.sha256(b"another graph").hexdigest()


def test_a_changed_artifact_is_refused(artifact):
    artifact.write_bytes(b"a graph!")
    with pytest.raises(
        ArtifactError, match=r"x\.onnx is not the file x\.json describes \(its SHA-256 differs\): export the run"
    ):
        read_manifest(artifact)


def test_an_artifact_or_manifest_that_is_missing_is_named(artifact):
    with pytest.raises(ArtifactError, match=r"no such artifact: .*gone\.onnx"):
        read_manifest(artifact.with_name("gone.onnx"))
    with pytest.raises(ArtifactError, match="no such artifact"):
        read_manifest(artifact.parent)
    artifact.with_suffix(".json").unlink()
    with pytest.raises(ArtifactError, match=r"has no manifest: x\.json must be beside it"):
        read_manifest(artifact)


def rewritten(artifact, **changes):
    """The artifact, with other entries in its manifest; those that are None are left out."""
    path = artifact.with_suffix(".json")
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return artifact


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        (2, "has format version 2, and this edgekd reads version 1: update edgekd"),
        (0, "has format version 0, and this edgekd reads version 1: export the run again, or build the engine again"),
        (None, "has no format version, and this edgekd reads version 1: export the run again"),
        (True, "has format version True, and"),
        (1.0, "has format version 1.0, and"),
        ("1\n2", r"has format version 1\\n2, and"),
    ],
)
def test_a_manifest_of_another_format_is_refused_with_what_to_do(artifact, version, complaint):
    with pytest.raises(ArtifactError, match=complaint):
        read_manifest(rewritten(artifact, format_version=version))


@pytest.mark.parametrize("content", [{}, [], None, "text", {"a": 1}])
def test_json_that_is_no_manifest_is_refused(artifact, content):
    artifact.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"x\.json is not a manifest: name an \.onnx or \.engine file"):
        read_manifest(artifact)


def test_file_and_folder_reach_the_disk_around_the_rename(tmp_path, monkeypatch):
    happened = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        happened.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *paths: (happened.append("rename"), replace(*paths))[1])
    write_json(tmp_path / "x.json", {})
    assert happened == ["file", "rename", "folder"]
    with write_beside(tmp_path / "frame.jpg", durable=False) as part:
        part.write_bytes(b"jpg")
    assert happened[3:] == ["rename"]
