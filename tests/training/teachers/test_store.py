import json
import pickle

import pytest
import torch

from edgekd.artifact import sha256
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.models.backbones.resnet import ResNet
from edgekd.training.teachers.backbone_weights import load_backbone
from edgekd.training.teachers.files import is_stored, stored_file
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.teachers.store import import_teacher, read_stored

from ...run_command import main


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(scope="module")
def state():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return ResNet("resnet18").state_dict()


def published(state, folder, digest=None):
    """A file as torchvision publishes one: the network's name and the first digits of its hash."""
    file = folder / "new.pth"
    torch.save(state, file)
    return file.rename(folder / f"resnet18-{digest or sha256(file)[:8]}.pth")


def test_a_file_in_torchvisions_layout_is_imported_and_loads(state, tmp_path, store):
    file = published(state, tmp_path)
    assert main(["teachers", "import", str(file)]) == 0
    assert is_stored("resnet18")
    card = json.loads((store / "resnet18.json").read_text())
    assert card["imported_from"] == file.name
    assert card["imported_sha256"] == sha256(file)
    assert "BSD-3-Clause" in card["licence"]
    loaded = load_backbone("resnet18").state_dict()
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


def test_files_that_lack_batch_norms_counters_are_whole(state, tmp_path):
    without = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    import_teacher(published(without, tmp_path))
    loaded = load_backbone("resnet18").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in without.items())


def refused(arguments, capsys):
    """The one line that a refused import prints; nothing is kept."""
    assert main(["teachers", "import", *map(str, arguments)]) == 2
    assert not is_stored("resnet18")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_file_whose_hash_is_not_the_one_in_its_name_is_refused(state, tmp_path, capsys):
    line = refused([published(state, tmp_path, digest="0badcafe")], capsys)
    assert "that in its name with 0badcafe" in line
    assert "download it again" in line


def test_a_truncated_file_is_refused(state, tmp_path, capsys):
    file = published(state, tmp_path)
    file.write_bytes(file.read_bytes()[:-5000])
    assert "damaged" in refused([file], capsys)
    short = file.rename(tmp_path / "mine.pth")
    assert "damaged" in refused([short, "--name", "resnet18"], capsys)


def test_a_file_with_a_missing_tensor_names_it(state, tmp_path, capsys):
    file = published({key: value for key, value in state.items() if key != "layer3.0.conv1.weight"}, tmp_path)
    assert "lacks layer3.0.conv1.weight" in refused([file], capsys)


class Malicious:
    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('executed').touch()",)


def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "resnet18.pth"
    file.write_bytes(pickle.dumps({"conv1.weight": Malicious()}))
    assert "refused" in refused([file, "--name", "resnet18"], capsys)
    assert not (tmp_path / "executed").exists()


def test_a_file_that_does_not_say_what_it_is_needs_a_name(state, tmp_path, capsys):
    file = published(state, tmp_path).rename(tmp_path / "weights.pth")
    assert "add --name" in refused([file], capsys)
    assert "did you mean resnet18" in refused([file, "--name", "resnet"], capsys)
    assert "no such file" in refused([tmp_path / "none.pth"], capsys)


def test_a_teacher_changed_in_the_store_is_refused(state, tmp_path):
    import_teacher(published(state, tmp_path))
    assert read_stored("resnet18")[1]["network"] == "resnet18"
    with stored_file("resnet18").open("ab") as file:
        file.write(b"0")
    for load in (read_stored, load_backbone, load_teacher):
        with pytest.raises(ArtifactError, match="changed since it was imported"):
            load("resnet18")


def test_what_is_not_here_says_how_to_get_it():
    with pytest.raises(EdgekdError, match="'edgekd teachers fetch wide_resnet101_2' downloads 255 MB"):
        load_backbone("wide_resnet101_2")
