"""Each mistake costs one line that names what is wrong and what to do, exit code 2 or 3, and loses nothing."""

import json
import shutil
from pathlib import Path

import pytest

from edgekd.artifact import manifest_path


@pytest.fixture
def artifact(exported, tmp_path) -> Path:
    """A copy of the exported detector that a test may damage."""
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / exported.name


def test_an_unknown_command_names_the_nearest(fails):
    assert "did you mean train?" in fails("tran")


def test_a_folder_that_is_no_run_is_named(fails, tmp_path):
    assert "is not a run folder" in fails("export", tmp_path)


def test_a_graph_that_is_not_its_manifests_is_refused_before_it_is_parsed(fails, artifact, good_folder):
    artifact.write_bytes(b"not even a graph")
    assert "its SHA-256 differs" in fails("inspect", "--engine", artifact, "--source", good_folder)


def test_a_graph_without_a_manifest_is_refused(fails, artifact):
    manifest_path(artifact).unlink()
    assert "has no manifest" in fails("bench", "--engine", artifact)


def test_a_damaged_manifest_is_named(fails, artifact):
    manifest_path(artifact).write_text('{"format_version": 1,')
    assert "is not valid JSON" in fails("bench", "--engine", artifact)


def test_a_manifest_of_another_version_is_named(fails, artifact):
    content = json.loads(manifest_path(artifact).read_text())
    manifest_path(artifact).write_text(json.dumps(content | {"format_version": 99}))
    assert "has format version 99" in fails("bench", "--engine", artifact)


def test_an_unknown_back_end_names_the_nearest(fails, artifact):
    assert "did you mean openvino?" in fails("bench", "--engine", artifact, "--backend", "openvin")


def test_a_misspelt_command_of_a_group_names_the_nearest(fails):
    assert (
        fails("teachers", "lst") == "edgekd: no such command 'lst'. Did you mean 'list'? See 'edgekd teachers --help'"
    )


@pytest.mark.parametrize(
    ("command", "mistake"),
    [
        ("users add", ["--role", "boss"]),
        ("recipes release", ["--bye", "Ann"]),
        ("teachers check", ["x", "--size", "none"]),
        ("teachers", ["--no-such"]),
        ("log", []),
    ],
)
def test_a_wrong_option_names_the_help_of_the_command_that_it_is_of(fails, command, mistake):
    assert fails(*command.split(), *mistake).endswith(f"'edgekd {command} --help'")


def test_a_wrong_option_of_no_command_names_the_overview(fails):
    assert fails("--no-such").endswith("'edgekd --help'")


def test_a_path_that_no_file_system_takes_is_the_users_mistake(fails):
    assert "name too long" in fails("export", "a" * 300)
    assert "name too long" in fails("bench", "--engine", "a/" * 3000)
