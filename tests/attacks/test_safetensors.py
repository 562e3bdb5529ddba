"""Files of safetensors that declare other than they hold, and what refuses them."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from edgekd.errors import ArtifactError
from edgekd.models.backbones.pdn import pdn
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.weight_files import read_weights


def crafted(path, header, numbers=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    return path


def entry(shape, start=0, end=4, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ({"w": entry([1 << 30])}, "declares tensors of 4294967296 bytes and holds 4"),
        ({"w": entry([1 << 30], 0, 1 << 32)}, "declares tensors of 4294967296 bytes and holds 4"),
        ({"w": entry([1]), "v": entry([1])}, "declares tensors of 8 bytes and holds 4"),
        ({"w": entry([1], dtype="C64")}, "holds w of type C64"),
        ({"w": entry([4], dtype="I8")}, "holds w of type I8"),
        ({"w": entry([4], dtype="F8_E4M3")}, "holds w of type F8_E4M3"),
        ({"w": entry([-1])}, "declares tensors"),
        ({"w": entry([1], 4, 8)}, "is damaged"),
        ({"w": 3}, "is damaged"),
        (b"[" * 100_000, "is damaged"),
        ([], "is damaged"),
        (b"\xff\xfe", "is damaged"),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(tmp_path, header, complaint):
    path = crafted(tmp_path / "t.safetensors", header, struct.pack("<f", 1))
    with pytest.raises(ArtifactError, match=f"{path} was refused: it {complaint}"):
        read_weights(path)


def test_a_header_longer_than_the_file_is_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    with pytest.raises(ArtifactError, match="cut off"):
        read_weights(path)


def test_integers_are_taken_for_counts_of_batch_norm_alone(tmp_path):
    path = tmp_path / "t.safetensors"
    save_file({"norm.num_batches_tracked": torch.tensor(3)}, path)
    assert read_weights(path) == {"norm.num_batches_tracked": torch.tensor(3)}
    save_file({"0.weight": torch.tensor([3])}, path)
    with pytest.raises(ArtifactError, match=r"holds 0\.weight in integers: weights must be floating point"):
        read_weights(path)


def test_a_teacher_of_other_shapes_is_refused_before_a_tensor_is_made(tmp_path, monkeypatch):
    path, state = tmp_path / "t.safetensors", pdn("pdn_small").state_dict()
    save_file({**state, "8.bias": torch.zeros(385)}, path)
    monkeypatch.setattr("edgekd.training.weight_files.load_safetensors", lambda _: pytest.fail("a tensor was made"))
    with pytest.raises(ArtifactError, match=r"8.bias is \(385,\) where pdn_small has \(384,\)"):
        load_teacher(str(path))


def test_a_type_of_a_million_letters_is_refused_in_a_short_line(tmp_path):
    header = json.dumps({"a": {"dtype": "F" * 1_000_000, "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ArtifactError) as raised:
        read_weights(path)
    assert len(str(raised.value)) < 600
