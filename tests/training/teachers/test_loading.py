import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from edgekd.artifact import sha256
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.models.backbones.pdn import pdn
from edgekd.training.teachers.files import shipped_teachers
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.weight_files import put_weights, read_weights, write_weights


@pytest.fixture
def state():
    torch.manual_seed(1)
    return pdn("pdn_small").state_dict()


def test_safetensors_go_round_and_float16_comes_back_as_float32(state, tmp_path):
    path = tmp_path / "teacher.safetensors"
    write_weights(path, {key: value.half() for key, value in state.items()})
    read = read_weights(path)
    assert read.keys() == state.keys()
    assert all(value.dtype == torch.float32 for value in read.values())
    assert all(torch.equal(read[key], state[key].half().float()) for key in state)


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_public_state_dict_goes_into_the_network(state, tmp_path, suffix, old_format):
    path = tmp_path / f"teacher_small{suffix}"
    torch.save(state, path, _use_new_zipfile_serialization=not old_format)
    teacher = load_teacher(str(path))
    assert teacher.name == str(path)
    assert teacher.sha256 == sha256(path)
    network = pdn("pdn_small")
    put_weights(network, teacher.state, teacher.name, "pdn_small")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_the_card_beside_a_file_is_its_provenance(state, tmp_path):
    write_weights(tmp_path / "t.safetensors", state)
    assert "not known" in load_teacher(str(tmp_path / "t.safetensors")).provenance["made_from"]
    (tmp_path / "t.json").write_text(json.dumps({"made_from": "a test"}))
    assert load_teacher(str(tmp_path / "t.safetensors")).provenance == {"made_from": "a test"}


def refused(state):
    with pytest.raises(ArtifactError) as caught:
        put_weights(pdn("pdn_small"), state, "mine.pth", "pdn_small")
    return str(caught.value)


def test_what_does_not_fit_is_named(state):
    lacking = {key: value for key, value in state.items() if key != "6.bias"}
    assert refused(lacking) == "mine.pth does not fit pdn_small: it lacks 6.bias (1 of 8 tensors)"
    extra = state | {"13.weight": torch.zeros(1)}
    assert refused(extra) == "mine.pth does not fit pdn_small: 13.weight does not belong to it"
    wrong = refused(state | {"0.weight": torch.zeros(256, 3, 4, 4)})
    assert "0.weight is (256, 3, 4, 4) where pdn_small has (128, 3, 4, 4)" in wrong
    assert "10.bias does not belong" in refused(pdn("pdn_medium").state_dict())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_named(state, value):
    state["3.weight"][1, 2, 0, 0] = value
    assert refused(state) == "mine.pth is damaged: 3.weight holds NaN or infinite values"


def test_a_refused_state_dict_leaves_the_network_as_it_was(state):
    network = pdn("pdn_small")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ArtifactError):
        put_weights(network, state | {"8.bias": torch.full((384,), torch.nan)}, "x", "pdn_small")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class Malicious:
    """A pickle of this would make a file when it is read by a pickle that obeys."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, suffix, wrapped):
    path, made = tmp_path / f"evil{suffix}", tmp_path / "made"
    content = {"0.weight": torch.zeros(1), "evil": Malicious(made)}
    if wrapped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ArtifactError, match=r"was refused: it holds (\w+\.open|torch\.storage)"):
        read_weights(path)
    assert not made.exists()
    torch.load(path, weights_only=False) if wrapped else pickle.loads(path.read_bytes())
    assert made.exists()  # It was a live one.


def test_a_pickle_named_safetensors_is_refused_and_not_run(tmp_path):
    path, made = tmp_path / "evil.safetensors", tmp_path / "made"
    path.write_bytes(pickle.dumps(Malicious(made)))
    with pytest.raises(ArtifactError):
        read_weights(path)
    assert not made.exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("name", ["t.safetensors", "t.pth"])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    path = tmp_path / name
    content = {"weight": torch.randn(40, 40)}
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ArtifactError, match=f"{name} was refused: it (is damaged|is cut off|declares)"):
        read_weights(path)


@pytest.mark.parametrize("content", [[torch.zeros(2)], torch.zeros(2), {"epoch": 3, "model": {"w": torch.zeros(1)}}])
def test_a_torch_file_that_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "t.pth")
    with pytest.raises(ArtifactError, match=r"must be a state dict \(names and tensors\), save model.state_dict\(\)"):
        read_weights(tmp_path / "t.pth")


def test_an_unknown_name_and_a_missing_file_are_told_apart(tmp_path):
    with pytest.raises(EdgekdError, match="unknown teacher 'resnet'"):
        load_teacher("resnet")
    with pytest.raises(EdgekdError, match=r"no such teacher file: .*gone\.pth"):
        load_teacher(str(tmp_path / "gone.pth"))


@pytest.mark.skipif(not shipped_teachers(), reason="no teacher is shipped with this checkout")
def test_a_misspelt_name_suggests_the_nearest_and_every_shipped_teacher_fits():
    for name in shipped_teachers():
        with pytest.raises(EdgekdError, match=f"did you mean {name}"):
            load_teacher(name.replace("_", "-") + "x")
        teacher = load_teacher(name)
        put_weights(pdn(name), teacher.state, name, name)
        assert teacher.provenance
